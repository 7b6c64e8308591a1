"""A container with little memory: what takes more than it has fails with its reason, and no process ends."""

import http.client
import io
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.ports import free_port
from tests.support.waiting import wait_until, wait_until_answered

pytestmark = pytest.mark.slow

_MB = 1 << 20
_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")
_NUMBERS = itertools.count()


@pytest.fixture
def group() -> Iterator[Path]:
    """A real control group of 512 MiB, where the tests may make one."""
    is_old = (_V1 / "memory.limit_in_bytes").exists()
    folder = (_V1 if is_old else _V2) / f"flask-detector-test-{os.getpid()}-{next(_NUMBERS)}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if is_old else "memory.max")).write_text(str(512 * _MB))
    except OSError:
        if folder.exists():
            folder.rmdir()
        pytest.skip("control groups can't be made here")
    yield folder
    for pid in (folder / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not (folder / "cgroup.procs").read_text(), 20)
    folder.rmdir()


@pytest.fixture
def port(group: Path, tmp_path: Path) -> Iterator[int]:
    """The port of an installation, all of it in that group."""
    number = free_port()
    environment = {
        **os.environ,
        "DETECTOR_DATA_DIR": str(tmp_path / "data"),
        "DETECTOR_OFFLINE": "true",
        "PORT": str(number),
    }
    enter = f"echo $$ > {group}/cgroup.procs && exec {sys.executable} -m flask_detector serve"
    process = subprocess.Popen(["sh", "-c", enter], env=environment)
    try:
        wait_until_answered(f"http://127.0.0.1:{number}", process, path="/readyz")
        yield number
    finally:
        process.terminate()
        process.wait(30)


def test_a_dyno_s_memory_is_never_taken_beyond_its_limit(port: int, group: Path) -> None:
    before = set((group / "cgroup.procs").read_text().split())

    fits = _send(port, _avif(5000, 4000))
    assert fits["status"] == "done"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _get(port, f"/api/v1/detections/{fits['id']}/drawn.png"), range(8)))
    assert {status for status, _ in answers} <= {200, 503}
    assert any(status == 200 for status, _ in answers)

    refused = _send(port, _avif(8000, 6000))
    assert refused["error"]["code"] == "too_many_pixels"
    assert "MB of memory" in refused["error"]["message"]
    assert _get(port, "/healthz")[0] == 200
    assert set((group / "cgroup.procs").read_text().split()) == before, "no process was ended for its memory"


def _avif(width: int, height: int) -> bytes:
    file = io.BytesIO()
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[::64] = 200
    Image.fromarray(pixels).save(file, "AVIF", speed=10)
    return file.getvalue()


def _send(port: int, data: bytes) -> Any:
    return json.loads(_ask(port, "POST", "/api/v1/detections", data)[1])


def _get(port: int, path: str) -> tuple[int, bytes]:
    return _ask(port, "GET", path, None)


def _ask(port: int, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=100)) as connection:
        try:
            connection.request(method, path, body, {"Prefer": "wait=60"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
