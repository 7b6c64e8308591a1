"""Runs of teaching as records on Redis: what a run goes through, and whose turn it is."""

import pytest
import redis

from flask_detector.errors import QueueFull, UnknownRun
from flask_detector.jobs import lessons as module
from flask_detector.jobs.lessons import TURN_KEY, LessonRequest, Lessons, Progress
from flask_detector.jobs.records import Failure
from flask_detector.jobs.states import JobStatus
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.worker.attempts import Attempt, Attempts

REQUEST = LessonRequest("c" * 32, "nanodet-g", "coins", ("coin",), 2.5)
FAILURE = Failure("teaching_error", "The disk is full.", "Make room.")


@pytest.fixture
def lessons(connection: redis.Redis) -> Lessons:
    return Lessons(connection)


@pytest.fixture
def attempts(lessons: Lessons) -> Attempts:
    return Attempts(lessons.queue, worker="", location="here")


def begun(lessons: Lessons, attempts: Attempts) -> Attempt:
    attempt = attempts.take()
    assert attempt is not None
    return attempt


def worker(folder: str, *, teaches: bool = True) -> WorkerInfo:
    return WorkerInfo("w", False, "", frozenset(), "detections", models_folder=folder, teaches=teaches)


def test_runs_wait_in_the_order_in_which_they_came(lessons: Lessons) -> None:
    ids = [lessons.enqueue(REQUEST, "Coins") for _ in range(3)]

    run = lessons.find(ids[2])
    assert (run.status, run.position, run.request, run.collection_name) == ("queued", 2, REQUEST, "Coins")
    assert run.pair == "nanodet-g-with-coins"
    assert [one.id for one in lessons.all()] == ids[::-1]
    assert lessons.queue.job_ids == ids


def test_a_run_that_is_begun_tells_how_far_it_is_and_ends(lessons: Lessons, attempts: Attempts) -> None:
    id = lessons.enqueue(REQUEST, "Coins")
    attempt = begun(lessons, attempts)
    progress = Progress("Learning", 0.5, 30.0, [(0.1, 2.5)], [(0.25, 0.4, 0.2)], ["Teaching coin."])
    lessons.report(id, progress)

    run = lessons.find(id)
    assert (run.status, run.position) == ("running", None)
    assert (run.progress.what, run.progress.part, run.progress.said) == ("Learning", 0.5, ["Teaching coin."])
    assert attempts.finish(attempt, {})
    assert lessons.find(id).status is JobStatus.DONE


def test_a_run_is_cancelled_while_it_waits_and_while_it_is_at_work(
    lessons: Lessons, attempts: Attempts
) -> None:
    first, second = lessons.enqueue(REQUEST, "Coins"), lessons.enqueue(REQUEST, "Coins")
    attempt = begun(lessons, attempts)
    for id in (first, second):
        lessons.cancel(id)

    assert {lessons.find(id).status for id in (first, second)} == {JobStatus.CANCELLED}
    assert attempts.take() is None
    assert not attempts.renew(attempt.execution)
    assert not attempts.finish(attempt, {})
    lessons.cancel(first)


def test_a_run_that_failed_says_why_and_is_tried_again(lessons: Lessons, attempts: Attempts) -> None:
    id = lessons.enqueue(REQUEST, "Coins")
    attempts.fail(begun(lessons, attempts), FAILURE)
    assert lessons.find(id).failure == FAILURE

    lessons.try_again(id)

    assert (lessons.find(id).status, lessons.find(id).failure) == ("queued", None)
    assert begun(lessons, attempts).job.retries_left == 9


def test_nothing_is_left_of_a_run_that_is_deleted(
    lessons: Lessons, attempts: Attempts, connection: redis.Redis
) -> None:
    id = lessons.enqueue(REQUEST, "Coins")
    attempt = begun(lessons, attempts)
    lessons.delete(id)
    lessons.report(id, Progress("Learning"))
    attempts.give_back(attempt.execution, as_a_try=False)

    with pytest.raises(UnknownRun):
        lessons.find(id)
    assert (lessons.all(), attempts.take()) == ([], None)
    assert [key for key in connection.keys("*") if id.encode() in key] == []


def test_a_detection_is_no_run(lessons: Lessons, connection: redis.Redis) -> None:
    connection.hset("rq:job:" + "a" * 32, mapping={"origin": "detections", "data": ""})
    with pytest.raises(UnknownRun):
        lessons.find("a" * 32)


def test_only_so_many_wait(lessons: Lessons, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 1)
    lessons.enqueue(REQUEST, "Coins")
    with pytest.raises(QueueFull):
        lessons.enqueue(REQUEST, "Coins")


def test_one_is_taught_at_a_time_and_what_a_machine_has_begun_is_left_to_it_while_it_lives(
    lessons: Lessons, attempts: Attempts, connection: redis.Redis
) -> None:
    assert not lessons.is_one_for("here", [])
    id = lessons.enqueue(REQUEST, "Coins")
    lessons.enqueue(REQUEST, "Coins")
    assert lessons.is_one_for("here", [worker("far")])

    attempt = begun(lessons, attempts)
    assert not lessons.is_one_for("here", [])

    attempt.job.meta["folder"] = "far"
    attempt.job.save_meta()
    attempts.give_back(attempt.execution, as_a_try=False)
    assert lessons.find(id).folder == "far"
    assert not lessons.is_one_for("here", [worker("far"), worker("here")])
    assert lessons.is_one_for("far", [worker("far"), worker("here")])
    assert lessons.is_one_for("here", [worker("far", teaches=False), worker("here")])

    assert not lessons.has_teacher()
    with connection.lock(TURN_KEY, timeout=5):
        assert lessons.has_teacher()
