"""One way to ask each of the seven dialects, and a worker whose model finds what a test wants found."""

import base64
import contextlib
import http.client
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.speakers import SPEAKERS, Reply, Request, Speaker
from tests.support.stack import Stack


@pytest.fixture(params=list(SPEAKERS))
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """Each kind of client."""
    return SPEAKERS[request.param]


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
