"""One way to ask each of the seven dialects, and a worker whose model finds what a test wants found."""

import base64
import contextlib
import http.client
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from werkzeug.test import TestResponse

from flask_detector.detectors import MAIN_MODEL, MODELS
from flask_detector.detectors.base import Detector
from flask_detector.settings import Settings
from tests.support.speakers import SPEAKERS, Reply, Request, Speaker, StandIn
from tests.support.stack import Stack


@pytest.fixture(params=list(SPEAKERS))
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """Each kind of client."""
    return SPEAKERS[request.param]


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


@pytest.fixture
def wider() -> bytes:
    """A grey picture of 50 by 30 pixels, in which a StandIn's cat has an empty mask."""
    file = io.BytesIO()
    Image.new("RGB", (50, 30), (90, 90, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def ring() -> "np.ndarray[Any, Any]":
    """The mask of a StandIn's dog in that picture."""
    whole = np.zeros((30, 40), np.bool_)
    whole[3:13, 2:12] = True
    whole[7:9, 6:8] = False
    return whole


@pytest.fixture
def clients_python() -> Path:
    """The Python of the environment in which the larger clients are installed."""
    return _python_of("clients")


@pytest.fixture
def readers_python() -> Path:
    """The Python of the environment in which label-studio-sdk is installed."""
    return _python_of("readers")


def _python_of(environment: str) -> Path:
    python = Path(__file__).parents[3] / ".venv" / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"this environment is not set up: make .venv/.{environment}")
    return python


@pytest.fixture
def call(stack: Stack) -> Callable[..., Reply]:
    """A function that sends a request to a running installation over a connection of its own."""
    host = stack.url.removeprefix("http://")

    def call(method: str, path: str, body: bytes | Request | None = None, **headers: str) -> Reply:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.reason, dict(answer.getheaders()), answer.read())

    return call


@pytest.fixture(scope="session")
def street(pictures: Path) -> bytes:
    """A picture of 1200 by 726 pixels with cars and people on a street."""
    return (pictures / "street.jpg").read_bytes()


@pytest.fixture(scope="session")
def street64(street: bytes) -> str:
    """The same picture in base64."""
    return base64.b64encode(street).decode()
