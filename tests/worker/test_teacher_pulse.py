"""The pulse of a run of teaching keeps what is its own, and says when it is not any more."""

import signal
import threading
from collections.abc import Iterator

import pytest
import redis
from redis.lock import Lock

from flask_detector.jobs.lessons import TURN_KEY, LessonRequest, Lessons
from flask_detector.settings import Settings
from flask_detector.worker import teacher_pulse as module
from flask_detector.worker.attempts import Attempt
from flask_detector.worker.teacher_pulse import LOST, Pulse, attempts_of
from tests.support.waiting import wait_until


@pytest.fixture
def turn(connection: redis.Redis) -> Lock:
    turn: Lock = connection.lock(TURN_KEY, timeout=30, thread_local=False)
    assert turn.acquire(blocking=False)
    return turn


@pytest.fixture
def attempt(connection: redis.Redis) -> Attempt:
    lessons = Lessons(connection)
    lessons.enqueue(LessonRequest("c" * 32, "nanodet-g", "coins"), "Coins")
    attempt = attempts_of(lessons).take()
    assert attempt is not None
    return attempt


@pytest.fixture
def lost(
    settings: Settings, redis_url: str, attempt: Attempt, turn: Lock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[threading.Event]:
    """Whether the pulse of the run has said that it is lost."""
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.01)
    event = threading.Event()
    before = signal.signal(LOST, lambda *_: event.set())
    pulse = Pulse(settings.model_copy(update={"redis_url": redis_url}), attempt, turn)
    pulse.start()
    yield event
    pulse.stop()
    signal.signal(LOST, before)


def test_a_turn_that_has_run_out_is_taken_again(
    connection: redis.Redis, attempt: Attempt, lost: threading.Event
) -> None:
    connection.delete(TURN_KEY)
    wait_until(lambda: bool(connection.exists(TURN_KEY)), 10)
    assert not lost.is_set()


def test_a_turn_that_is_another_s_is_said_to_be_lost(
    redis_url: str, connection: redis.Redis, lost: threading.Event
) -> None:
    connection.set(TURN_KEY, "another's")
    assert lost.wait(10)


def test_a_run_that_was_given_back_is_said_to_be_lost(
    connection: redis.Redis, attempt: Attempt, lost: threading.Event
) -> None:
    attempts_of(Lessons(connection)).give_back(attempt.execution, as_a_try=True)
    connection.delete(TURN_KEY)
    assert lost.wait(10)
