"""Drawing keeps a part of the web process's threads at most; the others answer everybody else."""

import contextlib
import http.client
import io
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from flask_detector.errors import ServiceError
from flask_detector.settings import Settings
from flask_detector.web.core.quota import Quota
from tests.support.ports import free_port
from tests.support.stack import environment_of
from tests.support.waiting import wait_until, wait_until_answered

MANY = 64


def test_who_finds_no_place_is_refused_after_a_moment() -> None:
    places = Quota(1, is_reentrant=True)
    with places.held("none"), ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(_refusal, places).result(10), ServiceError)
    assert _refusal(places) is None


def test_a_request_that_has_a_place_needs_no_other() -> None:
    places = Quota(1, is_reentrant=True)
    with places.held("none"):
        with places.held("none"):
            pass
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(_refusal, places).result(10), ServiceError)
    assert _refusal(places) is None


def _refusal(places: Quota) -> ServiceError | None:
    try:
        with places.held("none", patience=0.5):
            return None
    except ServiceError as error:
        return error


@pytest.fixture
def port(
    settings: Settings,
) -> Iterator[int]:
    """The port of a web process with the usual number of threads."""
    port = free_port()
    environment = {**environment_of(settings), "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "flask_detector", "web"], env=environment)
    try:
        wait_until_answered(f"http://127.0.0.1:{port}", process)
        yield port
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.slow
def test_many_who_want_large_pictures_drawn_keep_nobody_else_waiting(
    port: int, start_worker: Callable[[], object]
) -> None:
    start_worker()
    id = _send(port, _large())
    wait_until(lambda: _state(port, id) == "done", 60)
    began = threading.Barrier(MANY + 1)
    answers: Counter[int] = Counter()

    def draw(_: int) -> int:
        began.wait(60)
        return _status(port, f"/api/v1/detections/{id}/drawn.jpg")

    with ThreadPoolExecutor(MANY) as pool:
        drawing = [pool.submit(draw, number) for number in range(MANY)]
        began.wait(60)
        waited = []
        while not all(one.done() for one in drawing):
            start = time.monotonic()
            assert _status(port, "/healthz") == 200
            assert _send(port, _small())
            waited.append(time.monotonic() - start)
        answers.update(one.result() for one in drawing)
    # One of 12 megapixels takes half a second or more, and they come out one at a time: half a minute in all.
    assert max(waited) < 10
    assert set(answers) == {200, 503}
    assert answers[200] >= 8
    assert _status(port, f"/api/v1/detections/{id}/drawn.jpg") == 200


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except OSError:
            return 0
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) > 0
        return answer.status


def _state(port: int, id: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/detections/{id}", timeout=30) as answer:
        return str(json.load(answer)["status"])


def _send(port: int, data: bytes) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/detections", data)
    with urllib.request.urlopen(request, timeout=100) as answer:
        return str(json.load(answer)["id"])


def _large() -> bytes:
    return _jpeg(np.tile(np.arange(4000, dtype=np.uint8)[None, :, None], (3000, 1, 3)))


def _small() -> bytes:
    return _jpeg(np.full((48, 64, 3), 90, np.uint8))


def _jpeg(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()
