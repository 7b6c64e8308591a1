"""Clients that hold a request back keep nobody else from being answered; bad HTTP is refused."""

import contextlib
import resource
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from flask_detector.web.middleware.security import HEADERS

THREADS = 4

BEGINNINGS = {
    "headers": b"GET / HTTP/1.1\r\nHost: loc",
    "body": b"POST /api/v1/detections HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    b"Content-Length: 100000\r\n\r\nabc",
}


@pytest.fixture(scope="module")
def port(start_web: Callable[..., int]) -> int:
    """The port of a web process with few threads and a short patience."""
    return start_web(THREADS, RECEIVE_SECONDS=2.0)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        return client.recv(200)


@pytest.mark.parametrize("part", BEGINNINGS)
def test_more_slow_clients_than_threads_do_not_keep_others_out(port: int, part: str) -> None:
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2 * THREADS)]
        for client in slow:
            client.sendall(BEGINNINGS[part])
        assert answers(port)


@contextlib.contextmanager
def connections(port: int, number: int, first: bytes) -> Iterator[None]:
    """So many connections of another address, on each of which that was sent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number + 500)), hard))
    with contextlib.ExitStack() as held:
        for _ in range(number):
            client = held.enter_context(socket.socket())
            client.settimeout(20)
            client.bind(("127.0.0.2", 0))
            client.connect(("127.0.0.1", port))
            with contextlib.suppress(ConnectionError):  # it was let go already
                client.sendall(first)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


HELD = {"nothing": b"", "a head": BEGINNINGS["headers"], "a body": BEGINNINGS["body"]}


@pytest.mark.parametrize("held", HELD)
def test_as_many_connections_as_may_be_of_one_client_do_not_keep_others_out(
    start_web: Callable[..., int], held: str
) -> None:
    port = start_web(THREADS, RECEIVE_SECONDS=300.0)
    with socket.create_connection(
        ("127.0.0.1", port), timeout=20
    ) as upload:  # it has a thread: none is let go
        upload.sendall(BEGINNINGS["body"])
        with connections(port, 1100, HELD[held]):
            assert all(answers(port) for _ in range(5))
        upload.sendall(bytes(100_000 - 3))
        assert upload.recv(12) == b"HTTP/1.1 415"


def test_a_process_that_may_open_no_more_files_goes_on_and_lets_others_in(
    start_web: Callable[..., int],
) -> None:
    port = start_web(THREADS, files=150, RECEIVE_SECONDS=300.0)
    with connections(port, 300, b""):
        assert all(answers(port) for _ in range(5))
    assert answers(port)


def test_a_request_that_comes_in_pieces_but_steadily_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(BEGINNINGS["body"][:-3])
        for _ in range(20):
            client.sendall(bytes(5000))
            time.sleep(0.15)
        assert client.recv(12) == b"HTTP/1.1 415"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Content-Length: 4\r\nContent-Length: 5\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Content-Length: +4\r\n", 400),
        (b"Host: elsewhere\r\n", 400),
        (b"X: " + b"a" * 9000 + b"\r\n", 431),
        (b"".join(b"X%d: a\r\n" % number for number in range(150)), 431),
        (b"Cookie: session=" + b"a" * 8000 + b"\r\n", 200),
    ],
    ids=[
        "length and chunks",
        "two lengths",
        "space in name",
        "signed length",
        "two hosts",
        "long",
        "many",
        "ok",
    ],
)
def test_requests_that_two_servers_could_read_differently_and_huge_ones_are_refused(
    port: int, headers: bytes, status: int
) -> None:
    answer = raw(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_an_address_that_is_too_long_is_refused(port: int) -> None:
    assert raw(port, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(
        b"HTTP/1.1 414"
    )


def test_a_body_larger_than_any_picture_is_refused_before_it_is_read(port: int) -> None:
    head = b"POST /api/v1/detections HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    answer = raw(port, head + b"Content-Length: 9999999999\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "request_line",
    [
        b"<script>alert(1)</script>",
        b"GET /shared/secret HTTP/9.9",
        b"G<b>T / HTTP/1.1",
        b"GET http://[ HTTP/1.1",
    ],
)
def test_what_is_no_http_is_refused_with_every_header_and_without_its_words(
    port: int, request_line: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request_line + b"\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "Content-Type: text/plain" in head
    for name, value in HEADERS.items():
        assert f"{name}: {value}" in head.split("\r\n")
    assert body == "Bad Request.\n"
