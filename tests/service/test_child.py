"""Processes that are started again, and how soon."""

import os
import sys
from pathlib import Path

import pytest

from flask_detector.service.child import FAILED_AND_REPORTED, NEXT_ATTEMPT_VARIABLE, Child
from tests.support.waiting import wait_until

SCRIPT = f"""
import os, sys
open(sys.argv[1], "a").write(os.environ.get("{NEXT_ATTEMPT_VARIABLE}", "none") + " ")
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def child(notes: Path, status: int, *, runs_once: bool) -> Child:
    command = [sys.executable, "-c", SCRIPT, str(notes), str(status)]
    return Child("fetch", command, dict(os.environ), runs_once=runs_once)


def run_once(process: Child) -> None:
    process.start_again_at = 0
    process.watch()
    assert process.process is not None
    process.process.wait(30)
    process.watch()


def test_an_errand_is_tried_less_and_less_often_and_knows_when(
    notes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errand = child(notes, FAILED_AND_REPORTED, runs_once=True)
    for _ in range(7):
        run_once(errand)
    assert notes.read_text().split() == [
        f"{float(seconds)}" for seconds in (600, 1200, 2400, 4800, 9600, 14400, 14400)
    ]
    assert errand.pause == 14400
    assert caplog.records == [], "it has said itself why it failed"


def test_an_errand_that_dies_without_a_word_is_told_of(notes: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_once(child(notes, 1, runs_once=True))
    assert "fetch exited with status 1 and restarts in 600.0 s" in caplog.text


def test_a_process_that_never_was_ready_counts_its_failures(notes: Path) -> None:
    process = child(notes, 1, runs_once=False)
    for count in range(1, 4):
        run_once(process)
        assert process.failures == count
    process.command = [
        sys.executable,
        "-c",
        "import time; from flask_detector.process import readiness; readiness.report(); time.sleep(60)",
    ]
    process.start_again_at = 0
    process.watch()
    wait_until(process.is_ready, 30)
    assert process.failures == 0
    process.ask_to_stop()
    process.wait_or_kill(0)
