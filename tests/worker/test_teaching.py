"""A worker starts a process that teaches where one is wanted, and gives back what one has left."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from flask_detector.jobs.lessons import TEACHER_DIED, TURN_KEY, LessonRequest, Lessons
from flask_detector.jobs.queue import Jobs
from flask_detector.settings import Settings
from flask_detector.worker import teaching as module
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.process_id import of_process, of_this_process
from flask_detector.worker.teaching import Teaching
from tests.support.waiting import wait_until

REQUEST = LessonRequest("c" * 32, "nanodet-g", "coins")
DIED = of_this_process().rpartition(" ")[0] + " 1"


@pytest.fixture
def lessons(connection: redis.Redis) -> Lessons:
    return Lessons(connection)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the process was started, which only leaves a file."""
    (tmp_path / "stand_in.py").write_text(
        f"import tempfile, sys; tempfile.mkstemp(dir={str(tmp_path)!r}, prefix='started'); sys.exit(3)"
    )
    monkeypatch.setattr(module, "TEACHER", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda: len(list(tmp_path.glob("started*")))


@pytest.fixture
def teaching(
    settings: Settings, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Teaching]:
    monkeypatch.setattr(module, "missing_for_teaching", list)
    teaching = Teaching(Jobs(connection, settings), "here", settings.data_dir / "fifo")
    yield teaching
    teaching.stop()


def test_a_process_teaches_only_where_a_run_waits_and_after_a_failure_not_at_once(
    teaching: Teaching, lessons: Lessons, started: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    teaching.run()
    assert started() == 0
    lessons.enqueue(REQUEST, "Coins")
    teaching.run()
    wait_until(lambda: started() == 1, 30)
    process = teaching._process
    assert process is not None
    assert process.wait(30) == 3

    teaching.run()
    assert started() == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    teaching.run()
    wait_until(lambda: started() == 2, 30)


def test_a_process_teaches_where_no_fifo_can_be_made(
    settings: Settings,
    connection: redis.Redis,
    lessons: Lessons,
    started: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "missing_for_teaching", list)
    teaching = Teaching(Jobs(connection, settings), "here", tmp_path / "stand_in.py" / "fifo")
    lessons.enqueue(REQUEST, "Coins")
    teaching.run()
    wait_until(lambda: started() == 1, 30)
    teaching.stop()


def test_a_process_that_lives_keeps_its_run_though_it_has_no_time_to_say_so(
    teaching: Teaching, lessons: Lessons, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = lessons.enqueue(REQUEST, "Coins")
    silent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    attempt = Attempts(lessons.queue, worker="", location=of_process(silent.pid)).take()
    assert attempt is not None
    connection.set(TURN_KEY, "its", ex=5)
    connection.expire(attempt.execution.key, 5)
    teaching._process = silent

    teaching.run()
    assert connection.ttl(attempt.execution.key) > 5
    assert connection.ttl(TURN_KEY) > 5
    assert lessons.find(id).status == "running"

    silent.communicate(b"\n")
    teaching.run()
    assert lessons.find(id).status == "queued"


def test_without_pytorch_none_is_started(
    settings: Settings,
    connection: redis.Redis,
    lessons: Lessons,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "missing_for_teaching", lambda: ["torch"])
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    lessons.enqueue(REQUEST, "Coins")
    Teaching(Jobs(connection, settings), "here", settings.data_dir / "fifo").run()


def test_what_a_dead_process_left_waits_again_and_fails_in_the_end(
    teaching: Teaching, lessons: Lessons, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    teaching._can_teach = False
    id = lessons.enqueue(REQUEST, "Coins")
    for attempt in range(10):
        assert lessons.find(id).status == "queued", attempt
        dying = Attempts(lessons.queue, worker="", location=DIED)
        assert dying.take() is not None
        teaching.run()
    assert lessons.find(id).failure == TEACHER_DIED
    assert not list(connection.scan_iter("rq:worker*"))
