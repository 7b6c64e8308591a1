"""What comes in by any way is bounded and read as what it is: a real web process, real connections."""

import base64
import gzip
import json
import resource
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask.testing import FlaskClient

THREADS = 8
DETECTIONS = "/api/v1/detections"
MEGABYTE = 1_000_000

# Where JSON is read, each with a field of it that holds a picture.
JSON_PATHS = [
    DETECTIONS,
    "/v1/vision/detection",
    "/detect",
    "/v2/models/auto/infer",
    "/predict",
    "/cvat",
    "/infer/object_detection",
    "/models",
]
Answer = tuple[int, str]


@pytest.fixture(scope="module")
def port(start_web: Callable[..., int]) -> int:
    """The port of a web process that fetches pictures from this machine, and does not wait for detections."""
    settings = {
        "DETECTOR_PICTURES_BY_URL": "true",
        "DETECTOR_ALLOW_PRIVATE_ADDRESSES": "true",
        "DETECTOR_COMPAT_TIMEOUT": "0.01",
        "DETECTOR_RATE_LIMIT": "off",
    }
    return start_web(THREADS, settings)


def send(port: int, path: str, body: bytes, kind: str | None = None, **headers: str) -> Answer:
    """Return status and text of an answer; no Content-Type is sent unless given."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method="POST")
    request.add_unredirected_header("Content-Type", kind or "application/octet-stream")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def peak_megabytes(port: int) -> float:
    (web,) = (
        one
        for one in psutil.Process().children()
        if any(kept.laddr.port == port for kept in one.net_connections("tcp") if kept.status == "LISTEN")
    )
    status = Path(f"/proc/{web.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


BODIES = {
    "keys": b"{" + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}",
    "numbers": b'{"image": [' + b"1," * 8_000_000 + b"1]}",
    "lists": b'{"image": [' + b"[]," * 5_000_000 + b"[]]}",
    "objects": b'{"image": [' + b"{}," * 5_000_000 + b"{}]}",
    "depth": b"[" * 5_000_000,
    "depth of objects": b'{"a":' * 2_000_000,
    "a long number": b'{"image": ' + b"9" * 10_000_000 + b"}",
}


@pytest.mark.parametrize("path", JSON_PATHS)
def test_json_of_millions_of_parts_is_refused_without_being_built(port: int, path: str) -> None:
    for name, body in BODIES.items():
        status, text = send(port, path, body, "application/json")
        assert (name, status) in {(name, 400), (name, 413)}, text
    assert peak_megabytes(port) < 600


@pytest.mark.parametrize(
    "path", [DETECTIONS, "/v1/vision/detection", "/detections", "/admin/login", "/history/delete"]
)
def test_a_form_of_millions_of_fields_is_refused_without_being_built(port: int, path: str) -> None:
    body = b"a=&" * 2_500_000
    status, _ = send(port, path, body, "application/x-www-form-urlencoded")
    assert status in {400, 413}
    status, _ = send(port, path, b"a=b&" * 100_000, "application/x-www-form-urlencoded")
    assert status in {400, 413}


def test_a_dozen_of_large_bodies_at_once_share_a_bounded_memory(port: int) -> None:
    body = json.dumps({"image": "A" * 30_000_000}).encode()
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(port, DETECTIONS, body, "application/json")))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} <= {413, 415, 503}
    assert len(answers) == 12
    assert peak_megabytes(port) < 900


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "image/png",
        "nonsense",
    ],
)
@pytest.mark.parametrize("path", [DETECTIONS, "/v1/vision/detection", "/v2/models/auto/infer", "/models"])
def test_a_picture_is_a_picture_whatever_it_is_called(port: int, jpeg: bytes, path: str, kind: str) -> None:
    status, text = send(port, path, jpeg, kind)
    assert status in {202, 504} or "before timeout" in text, text


@pytest.mark.parametrize("path", JSON_PATHS)
def test_a_mark_before_json_is_passed_over(port: int, jpeg: bytes, path: str) -> None:
    body = json.dumps({"unknown": base64.b64encode(jpeg).decode()}).encode()
    assert send(port, path, b"\xef\xbb\xbf" + body, "application/json") == send(
        port, path, body, "application/json"
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "image/jpeg"])
def test_a_compressed_body_is_read(
    port: int, jpeg: bytes, name: str, change: Callable[[bytes], bytes], kind: str
) -> None:
    body = jpeg if kind == "image/jpeg" else json.dumps({"image": base64.b64encode(jpeg).decode()}).encode()
    assert send(port, DETECTIONS, change(body), kind, **{"Content-Encoding": name})[0] == 202


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("br", b"abc", 415),
        ("gzip, gzip", gzip.compress(b"{}"), 415),
        ("zstd", b"abc", 415),
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(bytes(10_000))[:-9], 400),
        ("gzip", gzip.compress(bytes(400_000_000), 9), 413),
    ],
    ids=["br", "twice", "zstd", "wrong", "short", "bomb"],
)
def test_a_compressed_body_that_can_not_be_is_refused(
    port: int, encoding: str, body: bytes, expected: int
) -> None:
    for kind in ("application/json", "image/jpeg"):
        assert send(port, DETECTIONS, body, kind, **{"Content-Encoding": encoding})[0] == expected
    assert peak_megabytes(port) < 900


@pytest.mark.parametrize(
    "path",
    [
        DETECTIONS,
        "/v1/vision/detection",
        "/v2/models/auto/infer",
        "/detect",
        "/infer/object_detection",
        "/models",
    ],
)
def test_a_slash_behind_an_address_changes_nothing(port: int, jpeg: bytes, path: str) -> None:
    assert send(port, f"{path}/", jpeg)[0] == send(port, path, jpeg)[0]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/about",
        "/healthz",
        DETECTIONS,
        "/api/v1/models",
        "/v1/vision/detection",
        "/v1/vision/custom/list",
        "/v2/models/auto/infer",
        "/v2/health/live",
        "/detect",
        "/infer/object_detection",
        "/predict",
        "/api/functions",
        "/models",
    ],
)
def test_another_method_at_a_known_address_is_405_and_says_which_would_do(
    port: int, path: str, method: str
) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", b"{}", method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 405
    assert refused.value.headers["Allow"]
    refused.value.close()


class _Dripping(BaseHTTPRequestHandler):
    """A server that sends a byte of its picture now and then, until the test ends."""

    ends = threading.Event()
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()
        while not self.ends.wait(0.1):
            self.wfile.write(b".")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def dripping(serve_http: Callable[[HTTPServer], str]) -> Iterator[str]:
    """The address of that server."""
    _Dripping.ends.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Dripping)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # we hang up early
    yield serve_http(server)
    _Dripping.ends.set()


@pytest.mark.slow
def test_pictures_that_drip_are_given_up_and_only_a_few_are_fetched_at_once(
    port: int, dripping: str, jpeg: bytes
) -> None:
    answers: list[Answer] = []

    def fetch() -> None:
        answers.append(send(port, DETECTIONS, json.dumps({"url": dripping}).encode(), "application/json"))

    began = time.monotonic()
    threads = [threading.Thread(target=fetch) for _ in range(3 * THREADS)]
    for thread in threads:
        thread.start()
    assert [send(port, DETECTIONS, jpeg)[0] for _ in range(20)] == [202] * 20  # others are not kept waiting
    for thread in threads:
        thread.join()
    codes: list[Any] = [json.loads(text)["error"]["code"] for _, text in answers]
    assert codes.count("address_unreachable") == _Dripping.asked == 1
    assert codes.count("service_unavailable") == 3 * THREADS - 1
    assert "20 seconds" in next(text for status, text in answers if status == 422)
    assert time.monotonic() - began < 40


class Endless:
    """A body that goes on, and knows how much of it was read."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self._left = size
        self.was_read = 0

    def read(self, size: int = -1, /) -> bytes:
        size = min(self._left, size if size >= 0 else self._left)
        piece = (self._head if self.was_read == 0 else b"").ljust(size, b"\0")[:size]
        self._left -= size
        self.was_read += size
        return piece


def test_a_body_in_pieces_is_given_up_at_the_limit(client: FlaskClient) -> None:
    unbounded = Endless(b"\xff\xd8\xff", 2_000 * MEGABYTE)
    answer = client.post(
        "/api/v1/detections",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": unbounded, "wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (413, "request_too_large")
    assert unbounded.was_read < 28 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux counts it")
def test_a_large_body_does_not_go_through_memory(client: FlaskClient, jpeg: bytes) -> None:
    client.post("/api/v1/detections", data=jpeg)  # what any upload needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = Endless(jpeg, 24 * MEGABYTE)
    answer = client.post(
        "/api/v1/detections", environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(24 * MEGABYTE)}
    )
    assert answer.status_code == 202
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000, "kilobytes"
