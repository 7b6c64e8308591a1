"""Pictures of any name, sent to a real installation and taken away again as every kind of file."""

import http.client
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from flask_detector.formats import FORMATS
from tests.support.stack import Stack
from tests.support.waiting import wait_until

BOUNDARY = "form-boundary"

NAMES = [
    "写真.jpg",
    "фото.jpg",
    "👩‍🚀🐈.jpg",
    "naïve “q”.jpg",
    "café.jpg",
    "写真\u3000一.jpg",
    "Screenshot 2026-11-28 at 9.41.00\u202fAM.jpg",
    'she said "no"; 100%.jpg',
    "عکس.jpg",
    "x" * 236 + ".jpg",
    "é" * 236 + ".jpg",
    "写真",
]


@dataclass
class Visitor:
    """A browser without JavaScript, which sees the bytes of each answer's head."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Return the body of an answer, which must be a good one; `headers` are its own then."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if self.cookie:
                headers["Cookie"] = self.cookie
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, (path, answer.status, data[:300])
        self.headers = dict(answer.getheaders())
        assert "".join(map("".join, self.headers.items())).isascii()
        if "Set-Cookie" in self.headers:
            self.cookie = self.headers["Set-Cookie"].partition(";")[0]
        return data

    def upload(self, names: list[str], picture: bytes) -> str:
        """Send the front page's form with a picture under each name; return where the browser goes."""
        token = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', self.ask("GET", "/"))
        assert token is not None
        body = multipart({"csrf_token": token[1].decode()}, names, picture)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        self.ask("POST", "/detections", body, **{"Content-Type": kind})
        return urlsplit(self.headers["Location"]).path

    @property
    def told_name(self) -> str:
        """What the answer says that the file is called (RFC 6266)."""
        disposition = self.headers["Content-Disposition"]
        assert disposition.startswith("attachment; filename=")
        exact = re.search(r"filename\*=UTF-8''([^;]+)$", disposition)
        if exact is not None:
            return unquote(exact[1], errors="strict")
        plain = re.fullmatch(r'attachment; filename=(?:"([^"\\]*)"|([^" ;]+))', disposition)
        assert plain is not None, disposition
        return plain[1] or plain[2]

    @property
    def plain_name(self) -> str:
        """What it says to clients that know English letters alone."""
        plain = re.match(r'attachment; filename="?([\w .()-]+)"?(;|$)', self.headers["Content-Disposition"])
        assert plain is not None, self.headers["Content-Disposition"]
        return plain[1]


def multipart(fields: dict[str, str], names: list[str], picture: bytes) -> bytes:
    """Return a form's body as browsers make it: UTF-8, quotes as %22."""
    body = b""
    for name, value in fields.items():
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for name in names:
        quoted = name.replace('"', "%22").replace("\n", "%0A")
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="{quoted}"'
        body += f"{head}\r\nContent-Type: image/jpeg\r\n\r\n".encode() + picture + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def visitor(stack: Stack) -> Visitor:
    return Visitor(int(stack.url.rpartition(":")[2]))


@pytest.fixture(scope="module")
def street(pictures: Any) -> bytes:
    data: bytes = (pictures / "street.jpg").read_bytes()
    return data


def stem(name: str) -> str:
    return name.removesuffix(".jpg")


def finished(visitor: Visitor, name: str, picture: bytes) -> str:
    """Send a picture to the API; return its detection's address, once it is done."""
    body = multipart({}, [name], picture)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = {"Content-Type": kind, "Prefer": "wait=30"}
    form = json.loads(visitor.ask("POST", "/api/v1/detections", body, **headers))
    assert form["filename"] == name
    assert form["status"] == "done"
    return f"/api/v1/detections/{form['id']}"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_any_name_is_taken_away_under_it(visitor: Visitor, name: str, street: bytes) -> None:
    detection = finished(visitor, name, street)
    for format in FORMATS:
        visitor.ask("GET", f"{detection}/exports/{format}")
        ending = FORMATS[format].suffix
        assert visitor.told_name == stem(name)[: 255 - len(ending)] + ending
        assert visitor.plain_name.endswith(ending)
        assert re.match("[A-Za-z0-9]", visitor.plain_name)
    visitor.ask("GET", f"{detection}/drawn.png")
    visitor.ask("GET", f"{detection}/image")


@pytest.mark.parametrize("name", NAMES)
def test_so_it_is_from_the_pages_that_work_without_javascript(
    visitor: Visitor, name: str, street: bytes
) -> None:
    page = visitor.upload([name], street)
    events = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=60)
    events.request("GET", f"{page}/events", headers={"Cookie": visitor.cookie})
    assert b'"final": true' in events.getresponse().read()  # it ends with the detection
    events.close()
    html = visitor.ask("GET", page).decode()
    links = set(re.findall(rf'href="({page}/[^"]+)" data-follows-view', html))
    assert len(links) >= len(FORMATS) + 4
    for link in links:
        visitor.ask("GET", link.replace("&amp;", "&"))
        assert stem(name)[:200] in visitor.told_name
    visitor.ask("GET", f"{page}/instances/0.png")
    assert visitor.told_name.startswith(stem(name)[:200])
    assert visitor.told_name.endswith("_1.png")


def test_pictures_sent_together_are_in_zips_under_their_names(visitor: Visitor, street: bytes) -> None:
    batch = visitor.upload(NAMES, street)
    wait_until(lambda: b"data-changing" not in visitor.ask("GET", batch), 60)
    for address in (f"{batch}/everything.zip", f"{batch}/datasets/voc.zip"):
        archive = zipfile.ZipFile(io.BytesIO(visitor.ask("GET", address)))
        assert archive.testzip() is None
        said = {part for path in archive.namelist() for part in path.split("/")}
        assert all(len(part.encode()) <= 255 for part in said)
        for name in ("写真", "фото", "👩‍🚀🐈", "naïve “q”", "she said _no_; 100%", "x" * 236):
            assert any(name in part for part in said)


HOSTILE = [
    ("GET", "/%D1%84?q=%D1%84", {}),
    ("GET", "/history?label=%D1%84&page=%D1%84", {"Cookie": "session=ф"}),
    ("GET", "/api/v1/models", {"Host": "ф", "X-Forwarded-Host": "ф", "X-Forwarded-Prefix": "/ф"}),
    (
        "GET",
        "/api/v1/models",
        {"X-Request-ID": "ф", "Origin": "http://ф", "Accept": "ф", "If-None-Match": "ф"},
    ),
    ("PUT", "/api/v1/models", {"Authorization": "Bearer ф"}),
    ("POST", "/api/v1/detections", {"Prefer": "wait=ф", "Idempotency-Key": "ф", "Content-Type": "ф/ф"}),
    ("POST", "/v1/vision/custom/%D1%84/", {"Content-Encoding": "ф"}),
    ("GET", "/api/v1/detections/%D1%84/exports/%D1%84?classes=%D1%84", {}),
]


@pytest.mark.parametrize(("method", "path", "headers"), HOSTILE)
def test_nothing_of_a_request_comes_back_in_a_header_that_is_not_ascii(
    visitor: Visitor, method: str, path: str, headers: dict[str, str]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value.encode())
    connection.putheader("Connection", "close")
    connection.endheaders()
    assert connection.sock is not None
    answer = b"".join(iter(lambda: connection.sock.recv(65536), b""))
    connection.close()
    assert answer.startswith(b"HTTP/1.1 ")
    assert answer.partition(b"\r\n\r\n")[0].isascii()
    assert b" 500 " not in answer.partition(b"\r\n")[0]
