"""A whole installation, started as a user starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask_detector.settings import Settings
from tests.support.ports import free_port
from tests.support.waiting import wait_until_answered

# What folders may be called: each sign means something in an address, on a command line, to Redis or libvips.
WORST_NAME = "a b#c?d=e%20é写'\"\\[0]"


@dataclass(frozen=True)
class Stack:
    """A running installation."""

    url: str
    data_dir: Path
    process: "subprocess.Popen[bytes]"


@contextmanager
def running_stack(data_dir: Path) -> Iterator[Stack]:
    """Run ``flask-detector serve`` until the block ends."""
    settings = Settings(data_dir=data_dir, port=free_port())
    home, temporary = data_dir / "home", data_dir / "tmp"
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "serve"],
        env={**environment_of(settings), "HOME": str(home), "TMPDIR": str(temporary)},
    )
    try:
        stack = Stack(f"http://127.0.0.1:{settings.port}", data_dir, process)
        wait_until_answered(stack.url, process)
        yield stack
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(40)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child process has these settings."""
    return {
        **os.environ,
        "REDIS_URL": settings.redis_url or "",
        "PORT": str(settings.port),
        "DETECTOR_DATA_DIR": str(settings.data_dir),
        "DETECTOR_OFFLINE": "1",
        "DETECTOR_JOB_TIMEOUT": str(settings.job_timeout),
        "DETECTOR_PICTURES_BY_URL": str(settings.pictures_by_url),
        "DETECTOR_ALLOW_PRIVATE_ADDRESSES": str(settings.allow_private_addresses),
    }
