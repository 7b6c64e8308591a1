"""Real parts for the tests: a Redis, workers, a running installation, pictures."""

import http.client
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image
from werkzeug.wrappers import Response

from flask_detector.broker.connection import connect, reaching_redis
from flask_detector.broker.local_server import LocalRedis
from flask_detector.detectors import AUTO
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import DetectionRequest
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import Storage
from tests.support.pictures import picture
from tests.support.stack import WORST_NAME, Stack, environment_of, running_stack

PROJECT = Path(__file__).parents[1]

# A shell that runs the tests in the background has SIGINT ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Containers often forbid bytecode; with it each of the many processes that tests start needs half the time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# What takes longest, in this order: begun last, it would keep one process busy and the others idle.
_LONGEST = (
    "service/test_launch.py",
    "web/api/test_openapi.py",
    "project/test_fuzz.py",
    "faults/test_workers.py",
    "faults/test_redis.py",
    "faults/test_cuts.py",
    "browser/test_access.py",
    "faults/",
    "detectors/mask_rcnn/test_parity.py",
    "detectors/rtmdet/test_parity.py",
    "machines/test_bucket.py",
    "web/test_webhooks.py",
    "worker/test_teacher.py",
    "browser/",
    "web/compat/test_errors.py",
    "imaging/test_open_picture.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(PROJECT / "tests").as_posix()
        return next((i for i, start in enumerate(_LONGEST) if path.startswith(start)), len(_LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """What our code sets for the whole of its process holds no longer than the test."""
    pixels, memory = Image.MAX_IMAGE_PIXELS, resource.getrlimit(resource.RLIMIT_DATA)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    Image.MAX_IMAGE_PIXELS = pixels
    resource.setrlimit(resource.RLIMIT_DATA, memory)


@pytest.fixture(scope="session", autouse=True)
def _ascii_headers() -> Iterator[None]:
    """No answer of the program has a header that isn't ASCII, in this process or from a real server."""

    def check(headers: Iterable[tuple[str, str]]) -> None:
        assert [header for header in headers if not "".join(header).isascii()] == []

    parse, make = http.client.parse_headers, Response.get_wsgi_headers

    def parse_headers(*args: Any, **kwargs: Any) -> Any:
        message = parse(*args, **kwargs)
        if "Content-Security-Policy" in message:  # of ours, not of a server that a test made up
            check(message.items())
        return message

    def get_wsgi_headers(response: Response, environ: Any) -> Any:
        headers = make(response, environ)
        check(headers)
        return headers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client, "parse_headers", parse_headers)
        patch.setattr(Response, "get_wsgi_headers", get_wsgi_headers)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference outputs and test pictures beside the project."""
    folder = PROJECT.parent / "shared"
    if not folder.exists():
        pytest.skip("the folder ../shared with pictures and reference outputs is not here")
    return folder


@pytest.fixture(scope="session")
def pictures(shared: Path) -> Path:
    """The seven test pictures."""
    return shared / "pictures"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server, for all tests of the session."""
    server = LocalRedis(tmp_path_factory.mktemp("redis"))
    process = subprocess.Popen(server.command())
    try:
        server.wait_until_ready(process)
        yield server.url
    finally:
        process.terminate()
        process.wait(10)
        server.remove_socket_folder()


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """A client of that server, which is empty at first."""
    with connect(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    """The settings of an installation with its data in a temporary folder."""
    return Settings(data_dir=tmp_path / "data", redis_url=redis_url, offline=True)


@pytest.fixture
def jobs(connection: redis.Redis, settings: Settings) -> Jobs:
    return Jobs(connection, settings)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
def jpeg() -> bytes:
    """A small picture."""
    return picture()


@pytest.fixture
def queue_picture() -> Callable[..., None]:
    """A function that queues a stored picture, if there is room: jobs, id, its name and facts, wishes."""

    def queue(
        jobs: Jobs, id: str, filename: str, picture: PictureInfo, model: str = AUTO, client: str | None = None
    ) -> None:
        jobs.check_room(model, client)
        with jobs.queue.connection.pipeline() as pipeline, reaching_redis():
            jobs.enqueue(id, filename, picture, DetectionRequest(model, client=client), pipeline)
            pipeline.execute()

    return queue


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """A function that starts a real worker process; all of them end with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "flask_detector", "worker"], env=environment_of(settings)
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation started as a user starts it, with an embedded Redis, for all tests of the session."""
    with running_stack(tmp_path_factory.mktemp("stack") / WORST_NAME) as running:
        yield running


@pytest.fixture
def serve_http() -> Iterator[Callable[[HTTPServer], str]]:
    """A function that lets a web server answer until the test ends, and returns its address."""
    running: list[tuple[HTTPServer, threading.Thread]] = []

    def serve(server: HTTPServer) -> str:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()
