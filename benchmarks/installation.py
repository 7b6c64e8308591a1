"""An installation of a benchmark's own, and requests to it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def installation(folder: Path, log: IO[bytes] | None = None, **variables: str) -> Iterator[tuple[int, int]]:
    """Run `flask-detector serve` with its own Redis and its data in a folder; yield process id and port.

    log: takes what it writes; it is shown without one. variables: further settings.
    """
    port = free_port()
    own = {"DETECTOR_DATA_DIR": str(folder), "DETECTOR_OFFLINE": "1", "PORT": str(port)}
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | own | variables
    command = [sys.executable, "-m", "flask_detector", "serve"]
    with running(command, environment, signal.SIGINT, log) as process:
        wait_for(port, "/readyz")
        yield process, port


@contextmanager
def running(
    command: list[str],
    environment: dict[str, str],
    how_to_end: signal.Signals,
    log: IO[bytes] | None = None,
) -> Iterator[int]:
    """Run a program in a group of its own until the block ends; yield its process id."""
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(how_to_end)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves its own processes behind
        process.wait(10)


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, path: str) -> None:
    """Return when a server is ready to work."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            fetch(http.client.HTTPConnection("127.0.0.1", port, timeout=10), "GET", path)
            return
        except (OSError, SystemExit):
            time.sleep(0.1)
    raise SystemExit(f"nothing answers at port {port}")


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
