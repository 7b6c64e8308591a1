"""A refusal is told on the connection, and nothing that nobody read is taken for another request."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

THREADS = 4
POST = b"POST /api/v1/detections HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def port(start_web: Callable[..., int]) -> int:
    """The port of a web process that takes small pictures and wants keys for the API."""
    return start_web(THREADS, {"DETECTOR_MAX_UPLOAD_MB": "1"})


@pytest.fixture(scope="module")
def locked_port(start_web: Callable[..., int]) -> int:
    """The port of a web process that wants keys for the API."""
    return start_web(THREADS, {"DETECTOR_REQUIRE_KEYS": "true", "DETECTOR_RATE_LIMIT": "5/hour"})


def talk(port: int, *pieces: bytes) -> str:
    """Send all of that, then return all that is answered until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(1 << 16), b"")).decode("latin-1")


def status(answer: str) -> int:
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (POST, 413),
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"PUT /api/v1/detections HTTP/1.1\r\nHost: localhost\r\n", 405),
        (b"POST /v1/vision/detection HTTP/1.1\r\nHost: localhost\r\n", 413),
        (b"POST /detections HTTP/1.1\r\nHost: localhost\r\n", 413),
        (b"POST /api/v1/detections HTTP/1.1\r\nHost: evil.test\r\n", 400),
    ],
    ids=["too large", "nowhere", "method", "dialect", "page", "host"],
)
def test_a_client_that_sends_thirty_megabytes_all_the_same_reads_why_they_are_not_wanted(
    port: int, head: bytes, expected: int
) -> None:
    length = b"Content-Length: 30000000\r\nContent-Type: image/jpeg\r\n\r\n"
    answer = talk(port, head + length, *[bytes(1_000_000)] * 30)
    assert status(answer) == expected
    assert "\r\nConnection: close\r\n" in answer
    assert answer.count("HTTP/1.1 ") == 1


def test_without_a_key_and_over_the_limit_it_is_the_same(locked_port: int) -> None:
    length = b"Content-Length: 20000000\r\nContent-Type: image/jpeg\r\n\r\n"
    answers = [talk(locked_port, POST + length, *[bytes(1_000_000)] * 20) for _ in range(6)]
    assert [status(answer) for answer in answers] == [401] * 5 + [429]
    assert all("\r\nConnection: close\r\n" in answer for answer in answers)


def test_who_waits_for_continue_is_refused_before_the_body(port: int) -> None:
    answer = talk(port, POST + b"Content-Length: 30000000\r\nExpect: 100-continue\r\n\r\n")
    assert status(answer) == 413
    assert "\r\nConnection: close\r\n" in answer


def test_who_waits_for_continue_is_told_so_when_the_body_is_wanted(port: int, jpeg: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(POST + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(jpeg))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(jpeg)
        assert client.recv(1000).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize("options", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]])
def test_curl_shows_the_refusal(port: int, tmp_path: Path, options: list[str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(30_000_000))
    command = ["curl", "-sS", "-T", "large.jpg", "-X", "POST", "-w", "%{http_code}", "-o", "answer", *options]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/api/v1/detections"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode, done.stderr) == ("413", 0, "")
    assert "too_large" in (tmp_path / "answer").read_text()


def test_a_body_that_nobody_read_is_never_taken_for_the_next_request(port: int) -> None:
    inner = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    long = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (len(inner) + 100_000)
    assert talk(port, long, inner + bytes(100_000)).count("HTTP/1.1 ") == 1
    chunked = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert talk(port, chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)).count("HTTP/1.1 ") == 1


def test_requests_that_come_at_once_are_answered_in_their_order(port: int) -> None:
    small = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    last = b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    many = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: %s\r\n\r\n" % (b"x" * 4000)
    answer = talk(port, small + many * 5 + last)
    assert [int(part.split()[0]) for part in answer.split("HTTP/1.1 ")[1:]] == [404, *[200] * 5, 200]


def test_a_head_that_comes_a_byte_at_a_time_is_read(port: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert status(talk(port, *[bytes([byte]) for byte in head])) == 200


@pytest.mark.parametrize(
    "chunks",
    [
        b"xyz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
        b"5" * 10_000,
        b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=["word", "negative", "prefix", "too long", "two", "none", "extension", "endless", "trailer"],
)
@pytest.mark.parametrize("path", [b"/api/v1/detections", b"/v1/vision/detection", b"/v2/models/auto/infer"])
@pytest.mark.parametrize("kind", [b"image/jpeg", b"application/json", b"multipart/form-data; boundary=b"])
def test_wrong_chunks_are_400(port: int, path: bytes, kind: bytes, chunks: bytes) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind
    answer = talk(port, head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert status(answer) == 400
    assert "\r\nConnection: close\r\n" in answer


def test_a_picture_in_good_chunks_is_taken(port: int, jpeg: bytes) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    cut = b"A;name=value\r\n" + jpeg[:10] + b"\r\n%x\r\n" % (len(jpeg) - 10) + jpeg[10:] + b"\r\n0\r\n\r\n"
    assert status(talk(port, head + cut)) == 202


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nAccept: text/html\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 1e3\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Expect: a miracle\r\nContent-Length: 3\r\n\r\nabc", 417),
    ],
)
def test_what_is_no_proper_request_is_told_so(port: int, request_: bytes, expected: int) -> None:
    assert status(talk(port, request_)) == expected
