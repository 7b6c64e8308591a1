"""The commands that run a part, as containers and supervisors need them."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import redis

from flask_detector.jobs.queue import Jobs
from flask_detector.settings import Settings
from tests.support.ports import free_port
from tests.support.stack import environment_of
from tests.support.waiting import wait_until

NO_BUCKET = {
    "DETECTOR_STORAGE_URL": "s3://pictures?endpoint=http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.mark.slow
def test_a_worker_that_can_not_reach_the_bucket_ends_and_says_why(settings: Settings) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "flask_detector", "worker"],
        env={**environment_of(settings), **NO_BUCKET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "DETECTOR_STORAGE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_web_process_without_its_bucket_or_a_common_key_says_so_and_serves(
    settings: Settings,
) -> None:
    port = free_port()
    environment = {**environment_of(settings), **NO_BUCKET, "PORT": str(port)}
    environment.pop("SECRET_KEY", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "web"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: is_answering(port), 30)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert "uploads will be refused" in said
    assert "SECRET_KEY is unset" in said


def is_answering(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_part_ends_with_0_on_sigterm_and_writes_to_its_data_folder_alone(
    command: str,
    connection: redis.Redis,
    settings: Settings,
    tmp_path: Path,
) -> None:
    port = free_port()
    home = tmp_path / "home"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", command],
        env={**environment_of(settings), "PORT": str(port), "HOME": str(home)},
        cwd=home,
        stdout=subprocess.PIPE,
    )

    def is_up() -> bool:
        return is_answering(port) if command == "web" else bool(Jobs(connection, settings).workers())

    try:
        wait_until(is_up, 30)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert said == b""  # logs go to stderr
    assert list(home.iterdir()) == []
