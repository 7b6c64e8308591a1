"""Clients that do not take their answers hurt nobody else; a slow line is served whole."""

import contextlib
import io
import json
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

THREADS = 4
PATHS = ("/healthz", "/", "/api/v1/models")


@pytest.fixture(scope="module")
def port(start_web: Callable[..., int]) -> int:
    """The port of a web process with few threads, which waits 3 s for a client that takes nothing."""
    return start_web(THREADS, RECEIVE_SECONDS=3.0, SEND_SECONDS=3.0)


def picture_address(port: int) -> str:
    """Send a picture of more megabytes than the system takes for a client at once; return where it is."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (2600, 2600, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", quality=97, subsampling=0)
    sent = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/detections", file.getvalue(), {"Content-Type": "image/jpeg"}
    )
    with urllib.request.urlopen(sent) as answer:
        path = f"/api/v1/detections/{json.load(answer)['id']}/image"
    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}").close()  # it is made once, and kept
    return path


@pytest.fixture(scope="module")
def picture(port: int) -> str:
    """The address of the picture."""
    return picture_address(port)


def asking(port: int, path: str, *, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection on which that was asked for, with a small buffer; `source` is who asks."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.settimeout(20)
    client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def fetched(port: int, path: str, *, source: str = "127.0.0.1") -> int:
    """Return the status of an answer that comes within five seconds."""
    with asking(port, path, source=source) as client:
        client.settimeout(5)
        return int(client.recv(12).split()[1])


def test_readers_of_pictures_who_take_nothing_keep_no_thread(port: int, picture: str) -> None:
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(asking(port, picture)) for _ in range(10 * THREADS)]
        for client in slow:  # each has its answer's beginning, so none waits for a thread
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        answers = [fetched(port, path) for _ in range(20) for path in PATHS]
        assert answers == [200] * 20 * len(PATHS)


@pytest.mark.slow
def test_whoever_takes_an_answer_too_slowly_is_cut_off(port: int, picture: str) -> None:
    with asking(port, picture) as client:
        client.recv(100)
        time.sleep(6)  # twice what is waited for
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.slow
def test_a_slow_but_steady_line_is_served_whole(port: int, picture: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{picture}") as answer:
        whole = answer.read()
    taken = b""
    with asking(port, picture) as client:
        began = time.monotonic()
        while len(taken) < len(whole) or not taken.endswith(whole[-1000:]):
            piece = client.recv(20_000)
            assert piece, "the answer was cut short"
            taken += piece
            time.sleep(0.006)
    assert taken.endswith(whole)
    assert time.monotonic() - began > 3, "it was read so quickly that this tells nothing"


def test_two_answers_on_one_connection_come_one_after_the_other_though_the_first_is_kept(
    port: int, picture: str
) -> None:
    with asking(port, picture) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        taken = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert taken.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert taken.endswith(b"\r\n\r\nok\n")


@pytest.fixture(scope="module")
def port_without_room(start_web: Callable[..., int]) -> int:
    """The port of a web process that keeps no answers for slow clients."""
    return start_web(THREADS, {"DETECTOR_MAX_BATCH_MB": "0.1"}, SEND_SECONDS=30.0)


def test_where_no_answers_can_be_kept_one_client_has_not_all_threads(port_without_room: int) -> None:
    port = port_without_room
    picture = picture_address(port)
    with contextlib.ExitStack() as held:
        for _ in range(3 * THREADS):
            held.enter_context(asking(port, picture))
        held.enter_context(asking(port, picture)).settimeout(1)
        for _ in range(10):
            assert fetched(port, "/healthz") == 200
            assert [fetched(port, path, source="127.0.0.2") for path in PATHS] == [200] * 3


def test_the_process_tells_that_it_lives_when_every_thread_waits_for_a_body(port: int) -> None:
    head = b"POST /api/v1/detections HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc"
    with contextlib.ExitStack() as held:
        for number in range(8 * THREADS):
            client = held.enter_context(socket.socket())
            client.bind((f"127.0.0.{2 + number % 8}", 0))
            client.connect(("127.0.0.1", port))
            client.sendall(head)
        assert [fetched(port, "/healthz") for _ in range(10)] == [200] * 10


def test_listeners_to_news_who_read_nothing_keep_nobody_from_pages(port: int, picture: str) -> None:
    events = picture.replace("/image", "/events")
    with contextlib.ExitStack() as held:
        for _ in range(4 * THREADS):
            held.enter_context(asking(port, events))
        answers = [fetched(port, path) for _ in range(5) for path in PATHS]
        assert answers == [200] * 5 * len(PATHS)


def test_a_client_that_vanishes_gives_everything_back(port: int, picture: str) -> None:
    for _ in range(3 * THREADS):
        client = asking(port, picture)
        client.recv(100)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert [fetched(port, path) for path in PATHS] == [200] * 3
