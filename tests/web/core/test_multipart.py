"""Forms as clients send them, over a real connection to a real installation."""

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.stack import Stack

API, PAGE = "/api/v1/detections", "/detections"
FORMS = [API, PAGE, "/v1/vision/detection", "/coco/1"]

Send = Callable[..., tuple[int, str]]


@pytest.fixture
def send(stack: Stack) -> Send:
    """A function that sends a form's body; it returns the status and the body of the answer."""

    def send(path: str, body: bytes, boundary: str = "; boundary=XX") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(stack.url).port, timeout=60)
        headers = {"Content-Type": f"multipart/form-data{boundary}", "Prefer": "wait=30"}
        if path == PAGE:
            headers["Accept"] = "text/html"
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return send


@pytest.fixture(scope="module")
def latin1(shared: Path) -> bytes:
    """A form with a file name that is not UTF-8."""
    return (shared / "cases" / "latin1_filename.multipart").read_bytes()


def part(disposition: bytes, content: bytes, kind: bytes = b"image/jpeg") -> bytes:
    type_line = b"Content-Type: " + kind + b"\r\n" if kind else b""
    head = b"--XX\r\nContent-Disposition: form-data; " + disposition + b"\r\n" + type_line
    return head + b"\r\n" + content + b"\r\n"


END = b"--XX--\r\n"


def test_a_picture_whose_name_is_not_utf_8_is_detected(send: Send, latin1: bytes) -> None:
    status, answer = send(API, latin1)
    form = json.loads(answer)
    assert (status, form["status"], form["filename"]) == (200, "done", "café.jpg")
    assert form["result"]["instances"]


@pytest.mark.parametrize("path", FORMS[2:])
def test_so_it_is_for_other_programs_clients(send: Send, latin1: bytes, path: str) -> None:
    status, answer = send(path, latin1)
    assert (status, bool(json.loads(answer)["predictions"])) == (200, True)


def test_its_good_neighbours_are_detected_too(send: Send, jpeg: bytes) -> None:
    names = [b"a.jpg", "写真.jpg".encode("shift-jis"), "фото.jpg".encode("cp1251"), "写真.jpg".encode()]
    body = b"".join(part(b'name="picture"; filename="' + name + b'"', jpeg) for name in names) + END
    status, answer = send(API, body)
    assert status == 200
    assert [one["filename"] for one in json.loads(answer)["detections"]] == [
        "a.jpg", "写真.jpg", "фото.jpg", "写真.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (rb'name="picture"; filename="C:\Users\x\a.jpg"', "a.jpg"),
        (rb'name="picture"; filename="C:\\Users\\x\\a.jpg"', "a.jpg"),
        (rb'name="picture"; filename="..\..\a.jpg"', "a.jpg"),
        (b'name="picture"; filename="/etc/a.jpg"', "a.jpg"),
        (b'name="picture"; filename="a/"', "a"),
        (b'name="picture"; filename=".."', "picture"),
        (b'name="picture"; filename=""', "picture"),
        (b'name="picture"', "picture"),
        (b'name="picture"; filename="=?UTF-8?B?5YaZ55yfLmpwZw==?="', "写真.jpg"),
        (b'name="picture"; filename="x.jpg"; filename*=UTF-8\'\'%E5%86%99%E7%9C%9F.jpg', "写真.jpg"),
        (b'name="picture"; filename="two%0D%0Alines.jpg"', "two lines.jpg"),
        (b'name="picture"; filename="she said %22no%22; ok.jpg"', 'she said "no"; ok.jpg'),
        (rb'name="picture"; filename="she said \"no\".jpg"', 'she said "no".jpg'),
        (b'filename="a.jpg"', "a.jpg"),
        ('name="picture"; filename="a\u202egpj.exe"'.encode(), "agpj.exe"),
        ('name="picture"; filename="👩‍🚀.jpg"'.encode(), "👩‍🚀.jpg"),
    ],
)
def test_a_picture_is_called_by_the_last_part_of_its_name(
    send: Send, jpeg: bytes, disposition: bytes, name: str
) -> None:
    status, answer = send(API, part(disposition, jpeg) + END)
    assert (status, json.loads(answer).get("filename")) == (200, name)


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"image/jpeg", b"application/octet-stream"])
@pytest.mark.parametrize("path", FORMS[:1] + FORMS[2:])
def test_a_picture_without_a_file_name_is_no_text(send: Send, pictures: Path, kind: bytes, path: str) -> None:
    large = (pictures / "diving1.jpg").read_bytes()
    status, _ = send(path, part(b'name="image"', large, kind) + END)
    assert status == 200


def test_a_field_that_was_left_empty_is_no_picture(send: Send, jpeg: bytes) -> None:
    empty = part(b'name="second"; filename=""', b"", b"application/octet-stream")
    status, answer = send(API, part(b'name="picture"; filename="a.jpg"', jpeg) + empty + END)
    assert (status, json.loads(answer)["status"]) == (200, "done")
    assert "No picture was sent" in send(API, empty + END)[1]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("half of it", "is truncated"),
        ("no last boundary", "is truncated"),
        ("nothing behind the boundary", "is truncated"),
        ("another boundary", "not use the boundary"),
        ("a large form with another boundary", "not use the boundary"),
        ("no boundary", "names no boundary"),
    ],
)
def test_a_broken_form_is_called_broken(send: Send, latin1: bytes, path: str, harm: str, words: str) -> None:
    body, boundary = {
        "half of it": (latin1[: len(latin1) // 2], "; boundary=XX"),
        "no last boundary": (latin1.removesuffix(b"--XX--\r\n"), "; boundary=XX"),
        "nothing behind the boundary": (latin1.removesuffix(b"--\r\n") + b"\r\n", "; boundary=XX"),
        "another boundary": (latin1, "; boundary=YY"),
        "a large form with another boundary": (latin1 + bytes(3_000_000), "; boundary=YY"),
        "no boundary": (latin1, ""),
    }[harm]
    status, answer = send(path, body, boundary)
    assert status == 400
    assert words in answer.replace("&#39;", "'")
    assert "No picture" not in answer


def test_so_is_one_whose_sender_went_silent(stack: Stack, latin1: bytes) -> None:
    """Its length says that more was to come."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(stack.url).port, timeout=60)
    connection.putrequest("POST", API)
    connection.putheader("Content-Type", "multipart/form-data; boundary=XX")
    connection.putheader("Content-Length", str(len(latin1)))
    connection.endheaders(latin1[:20_000])
    connection.sock.shutdown(1)
    assert json.loads(connection.getresponse().read())["error"]["code"] == "broken_form"
    connection.close()


def test_texts_in_other_encodings_are_understood(send: Send, jpeg: bytes) -> None:
    """A label that the model has not, so that it comes back in the error."""
    body = part(b'name="classes"', "café".encode("latin-1"), b"") + part(b'name="p"; filename="a.jpg"', jpeg)
    status, answer = send(API, body + END)
    assert (status, json.loads(answer)["error"]["message"]) == (422, "The model has no 'café'.")
