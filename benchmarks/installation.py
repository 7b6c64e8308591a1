"""An installation of a benchmark's own, and requests to it."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.support.ports import free_port
from tests.support.waiting import wait_until_answered


@contextmanager
def installation(
    folder: Path, log: IO[bytes] | None = None, *, python: str = sys.executable, **variables: str
) -> Iterator[tuple[int, int]]:
    """Run `flask-detector serve` with its own Redis and its data in a folder; yield process id and port.

    log: takes what it writes; it is shown without one. variables: further settings.
    """
    port = free_port()
    own = {"DETECTOR_DATA_DIR": str(folder), "DETECTOR_OFFLINE": "1", "PORT": str(port)}
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | own | variables
    command = [python, "-m", "flask_detector", "serve"]
    with running(command, environment, signal.SIGINT, log) as process:
        wait_until_answered(f"http://127.0.0.1:{port}", process, path="/readyz")
        yield process.pid, port


@contextmanager
def running(
    command: list[str],
    environment: dict[str, str],
    how_to_end: signal.Signals,
    log: IO[bytes] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program in a group of its own until the block ends."""
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(how_to_end)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves its own processes behind
        process.wait(10)


def fetch(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """Do one request and return the whole answer."""
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {content[:200]!r}")
    return content
