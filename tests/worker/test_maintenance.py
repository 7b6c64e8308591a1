import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.states import TRIES, JobStatus
from flask_detector.process import logs
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from flask_detector.worker.attempts import Attempt, Attempts
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.maintenance import Maintenance
from flask_detector.worker.process_id import of_this_process

PICTURE = PictureInfo("JPEG", "image/jpeg", 64, 48)
# Where a process of this machine was that has ended.
DIED = of_this_process().rpartition(" ")[0] + " 1"

Begin = Callable[..., Attempt]


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def context(settings: Settings, connection: redis.Redis) -> WorkerContext:
    return WorkerContext.of(settings, connection, open_storage(settings))


@pytest.fixture
def maintenance(context: WorkerContext) -> Maintenance:
    return Maintenance(context, Attempts(context.jobs.queue, worker="living", location="here"))


@pytest.fixture
def begin(context: WorkerContext, queue_picture: Callable[..., None]) -> Begin:
    jobs = context.jobs

    def begin(attempts: Attempts) -> Attempt:
        id = new_id()
        context.storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
        queue_picture(jobs, id, "a.jpg", PICTURE)
        attempt = attempts.take()
        assert attempt is not None
        assert attempt.job.id == id
        return attempt

    return begin


def tries_left(context: WorkerContext, attempt: Attempt) -> int:
    assert context.jobs.find(attempt.job.id).status is JobStatus.QUEUED
    return int(context.jobs.queue.connection.hget(attempt.job.key, "retries_left") or 0) + 1


def test_of_a_dead_workers_pictures_only_the_one_in_its_hands_loses_a_try(
    context: WorkerContext, maintenance: Maintenance, begin: Begin
) -> None:
    dead = Attempts(context.jobs.queue, worker="dead", location=DIED)
    other = Attempts(context.jobs.queue, worker="also dead", location=DIED)
    written, alone, in_hand = begin(dead), begin(other), begin(dead)
    maintenance.run()
    assert [tries_left(context, attempt) for attempt in (written, alone, in_hand)] == [
        TRIES,
        TRIES - 1,
        TRIES - 1,
    ]


def test_a_picture_whose_outcome_was_being_written_loses_no_try_though_its_worker_is_silent_elsewhere(
    context: WorkerContext, maintenance: Maintenance, begin: Begin
) -> None:
    silent = Attempts(context.jobs.queue, worker="silent", location="elsewhere")
    written, in_hand = begin(silent), begin(silent)
    connection = context.jobs.queue.connection
    connection.delete(written.execution.key)  # expired a little before the other
    maintenance.run()
    maintenance.run()
    assert tries_left(context, written) == TRIES
    assert context.jobs.find(in_hand.job.id).status is JobStatus.RUNNING
    connection.delete(in_hand.execution.key)
    maintenance.run()
    maintenance.run()
    assert tries_left(context, in_hand) == TRIES - 1


def test_a_worker_elsewhere_that_was_not_heard_of_for_a_moment_keeps_its_picture(
    context: WorkerContext, maintenance: Maintenance, begin: Begin
) -> None:
    worker = Attempts(context.jobs.queue, worker="silent", location="elsewhere")
    attempt = begin(worker)
    for _ in range(3):  # as after each of three outages of Redis
        context.jobs.queue.connection.delete(attempt.execution.key)
        maintenance.run()
        worker.renew(attempt.execution)
        maintenance.run()
    assert context.jobs.find(attempt.job.id).status is JobStatus.RUNNING
    assert worker.finish(attempt, {})


def test_of_old_pictures_only_those_without_a_record_are_swept_away(
    context: WorkerContext, maintenance: Maintenance, begin: Begin
) -> None:
    living = Attempts(context.jobs.queue, worker="living", location=of_this_process())
    with_record, without, young = begin(living).job.id, new_id(), new_id()
    for id in (without, young):
        context.storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
    long_ago = time.time() - 2 * context.settings.retention_seconds
    for id in (with_record, without):
        (folder,) = (context.settings.data_dir / "pictures").glob(f"*/{id}")
        os.utime(folder, (long_ago, long_ago))
    maintenance.run()
    assert context.storage.get(with_record, ORIGINAL) == context.storage.get(young, ORIGINAL) == b"pixels"
    with pytest.raises(FileNotFoundError):
        context.storage.get(without, ORIGINAL)


def test_a_heartbeat_that_comes_late_leaves_nothing_of_what_has_ended(
    context: WorkerContext, begin: Begin
) -> None:
    attempts = Attempts(context.jobs.queue, worker="living", location="here")
    ended, going_on = begin(attempts), begin(attempts)
    connection = context.jobs.queue.connection
    connection.delete(going_on.execution.key)  # Redis was away for too long
    assert attempts.finish(ended, {})
    attempts.renew(ended.execution)
    attempts.renew(going_on.execution)
    assert not connection.exists(ended.execution.key)
    assert connection.ttl(going_on.execution.key) > 0


def test_what_maintenance_tells_carries_the_request_and_the_detection(
    context: WorkerContext,
    maintenance: Maintenance,
    begin: Begin,
) -> None:
    stream = io.StringIO()
    logs.set_up("json", "worker", stream)
    jobs = context.jobs
    with logs.on_behalf_of("a-request"):
        left = begin(Attempts(jobs.queue, worker="dead", location=DIED)).job.id
        lost = begin(Attempts(jobs.queue, worker="dead", location=DIED)).job.id
        expired = begin(Attempts(jobs.queue, worker="living", location="here")).job.id
    jobs.queue.connection.hset(f"rq:job:{lost}", "retries_left", 0)
    jobs.queue.connection.delete(f"rq:job:{expired}")
    long_ago = time.time() - 2 * context.settings.retention_seconds
    (folder,) = (context.settings.data_dir / "pictures").glob(f"*/{expired}")
    os.utime(folder, (long_ago, long_ago))
    for _ in range(2):
        maintenance.run()
    told = {form["message"].partition(f"detection {form['detection']}")[2]: form for form in lines(stream)}
    assert {(of["request"], how) for how, of in told.items()} == {
        ("a-request", " was left by a worker that died"),
        ("a-request", " failed: detection_failed"),
        ("a-request", " is deleted: it has expired"),
    }
    assert {of["detection"] for of in told.values()} <= {id[:8] for id in (left, lost, expired)}
    assert told[" failed: detection_failed"]["detection"] == lost[:8]
    assert logs.request_id.get() is None


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]
