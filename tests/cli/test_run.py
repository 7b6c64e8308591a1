"""The commands that run a part, as containers and supervisors need them."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from flask_detector.jobs import Jobs
from flask_detector.settings import Settings

Eventually = Callable[[Callable[[], bool], float], None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_part_ends_with_0_on_sigterm_and_writes_to_its_data_folder_alone(
    command: str,
    connection: redis.Redis,
    settings: Settings,
    environment_for: Callable[[Settings], dict[str, str]],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    port = free_port()
    home = tmp_path / "home"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", command],
        env={**environment_for(settings), "PORT": str(port), "HOME": str(home)},
        cwd=home,
        stdout=subprocess.PIPE,
    )

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return True
        except OSError:
            return False

    is_up = answers if command == "web" else lambda: bool(Jobs(connection, settings).workers())
    try:
        eventually(is_up, 30)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert said == b""  # logs go to stderr
    assert list(home.iterdir()) == []
