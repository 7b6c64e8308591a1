"""A process is paused while any worker detects, but never for long."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_detector.worker import teacher_pause as module
from flask_detector.worker.teacher_pause import Pauser, detecting, fifo_in
from tests.support.waiting import wait_until

_HOLDS = """
import pathlib, sys
from flask_detector.worker.teacher_pause import detecting
with detecting(pathlib.Path(sys.argv[1])):
    print("detects", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is paused."""
    process = subprocess.Popen(["sleep", "60"])
    pauser = Pauser(process, fifo_in(tmp_path))
    pauser.start()
    yield process
    process.kill()
    process.wait(10)
    with detecting(fifo_in(tmp_path)):
        pass  # the next detection ends the thread
    pauser.join(10)
    assert not pauser.is_alive()


def is_paused(process: "subprocess.Popen[bytes]") -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_process_is_paused_until_the_last_worker_of_the_machine_has_detected(
    tmp_path: Path, process: "subprocess.Popen[bytes]"
) -> None:
    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _HOLDS, str(fifo_in(tmp_path))]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"detects\n"
        return worker

    with start() as first, start() as second:
        wait_until(lambda: is_paused(process), 10)
        first.communicate()
        assert is_paused(process)
        second.kill()
    wait_until(lambda: not is_paused(process), 10)
    with detecting(fifo_in(tmp_path)):
        wait_until(lambda: is_paused(process), 10)
    wait_until(lambda: not is_paused(process), 10)


def test_it_runs_for_a_moment_where_pictures_never_end(
    tmp_path: Path, process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_PAUSED_SECONDS", 0.2)
    with detecting(fifo_in(tmp_path)):
        for _ in range(2):
            wait_until(lambda: is_paused(process), 10)
            wait_until(lambda: not is_paused(process), 10)


def test_where_nobody_teaches_nothing_is_paused(tmp_path: Path) -> None:
    with detecting(fifo_in(tmp_path)):
        assert not fifo_in(tmp_path).exists()
