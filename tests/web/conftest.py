"""The application in this process, on a real Redis, and a real worker that runs on demand."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.routing import Rule
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.detectors import MAIN_MODEL, MODELS
from flask_detector.detectors.base import Detector
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.rq_worker import DetectionWorker
from tests.support.lessons import TEACHES
from tests.support.ports import free_port
from tests.support.speakers import StandIn
from tests.support.waiting import wait_until_answered


@pytest.fixture(scope="session", autouse=True)
def _urls_compiled_when_needed() -> Iterator[None]:
    """Compile what builds URLs when one is built: it took most of a small test's time."""
    compile_builder = Rule._compile_builder

    def compile_later(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = cache(partial(compile_builder, rule, append_unknown))

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            return compiled()(rule, **values)

        return build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_later)
        yield


@pytest.fixture
def app(settings: Settings, connection: redis.Redis) -> Flask:
    app = create_app(settings, connection=connection)
    app.config["TESTING"] = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def teaching(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The application's service, with a worker that can teach."""
    service: Service = app.extensions["flask-detector"]
    monkeypatch.setattr(service.jobs, "workers", lambda: [TEACHES])
    return service


@pytest.fixture
def token(client: FlaskClient) -> Callable[[], str]:
    """A function that returns the token that the front page's form carries."""

    return lambda: _token(client)


@pytest.fixture
def token_of() -> Callable[[FlaskClient], str]:
    """A function that returns the token that the front page's form carries for a browser."""
    return _token


def _token(client: FlaskClient) -> str:
    match = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/").text)
    assert match is not None
    return match[1]


@pytest.fixture
def shared_pictures(pictures: Path) -> dict[str, bytes]:
    """Two pictures with chairs, and with cars."""
    return {name: (pictures / name).read_bytes() for name in ("apartment.jpg", "street.jpg")}


@pytest.fixture
def upload(client: FlaskClient, token: Callable[[], str]) -> Callable[..., TestResponse]:
    """A function that sends the front page's form with a picture, as a browser does."""

    def upload(data: bytes, name: str = "picture.jpg", **fields: str) -> TestResponse:
        form = {"csrf_token": token(), "picture": FileStorage(io.BytesIO(data), name), **fields}
        boundary, body = encode_multipart(form)  # in memory; the test client would leave a file open
        content_type = f'multipart/form-data; boundary="{boundary}"'
        return client.post(
            "/detections", data=body, content_type=content_type, headers={"Accept": "text/html"}
        )

    return upload


@pytest.fixture
def work_off(settings: Settings, connection: redis.Redis) -> Iterator[Callable[[], None]]:
    """A function that lets a real worker, in this process, empty the queue."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    context = WorkerContext.of(settings, connection, open_storage(settings))

    def work_off() -> None:
        DetectionWorker(context).work(burst=True, logging_level="WARNING")

    yield work_off
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def while_working(
    work_off: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], TestResponse]], TestResponse]:
    """A function that sends a request while a real worker, in this process, empties the queue."""
    # This worker comes and goes: where a loaded machine is slow, it may be away when it is looked for.
    monkeypatch.setattr("flask_detector.web.compat.detect._PATIENCE_SECONDS", 100.0)

    def send(request: Callable[[], TestResponse]) -> TestResponse:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(request)
            while not wait([answer], 0.02).done:
                work_off()
            return answer.result()

    return send


@pytest.fixture
def masked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model with masks that is installed; in its place the worker loads a StandIn."""
    folder = settings.data_dir / "models" / MAIN_MODEL
    source: Any = MODELS[MAIN_MODEL].source
    (folder / "converted-1").mkdir(parents=True)
    (folder / source.file_name).touch()
    detector: Detector = StandIn()
    monkeypatch.setattr("flask_detector.detectors.loaded.load_detector", lambda *_, **__: detector)
    return MAIN_MODEL


@pytest.fixture
def small() -> bytes:
    """A grey picture of 40 by 30 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (90, 90, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def start_web(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """A function that starts a web process of so many threads and returns its port.

    times: those of the module that paces connections, in seconds; settings: by their variables; files: how
    many the process may have open, if not as many as usual.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(threads: int, settings: dict[str, str] | None = None, files: int = 0, **times: float) -> int:
        port = free_port()
        environment = {
            **os.environ,
            "REDIS_URL": redis_url,
            "DETECTOR_DATA_DIR": str(tmp_path_factory.mktemp("web")),
            "PORT": str(port),
            "DETECTOR_WEB_THREADS": str(threads),
            **(settings or {}),
        }
        program = (
            "import json, resource, sys; from flask_detector.web.server import paced_socket; "
            "vars(paced_socket).update(json.loads(sys.argv[1])); files = int(sys.argv[2]); "
            "files and resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)); "
            "from flask_detector.settings import Settings; "
            "from flask_detector.web.server.gunicorn_app import run; run(Settings.from_environment())"
        )
        command = [sys.executable, "-c", program, json.dumps(times), str(files)]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        wait_until_answered(f"http://127.0.0.1:{port}", running[-1])
        return port

    yield start
    for process in running:
        process.kill()
        process.wait(10)
