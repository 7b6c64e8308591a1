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
from flask_detector.jobs.records import JobStatus
from flask_detector.jobs.rq_records import TRIES
from flask_detector.process import logs
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from flask_detector.worker.detect_task import Workplace
from flask_detector.worker.maintenance import Upkeep
from flask_detector.worker.process_id import of_this_process
from flask_detector.worker.transitions import Handover, Task

PICTURE = PictureInfo("JPEG", "image/jpeg", 64, 48)
# Where a process of this machine was that has ended.
DESERTED = of_this_process().rpartition(" ")[0] + " 1"

Begin = Callable[..., Task]


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def workplace(settings: Settings, connection: redis.Redis) -> Workplace:
    return Workplace(settings, connection, open_storage(settings))


@pytest.fixture
def upkeep(workplace: Workplace) -> Upkeep:
    return Upkeep(workplace, Handover(workplace.jobs.queue, worker="living", place="here"))


@pytest.fixture
def begin(workplace: Workplace, queue_picture: Callable[..., None]) -> Begin:
    jobs = workplace.jobs

    def begin(handover: Handover, *, beside: bool = False) -> Task:
        id = new_id()
        workplace.storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
        queue_picture(jobs, id, "a.jpg", PICTURE)
        jobs.queue.connection.lmove(jobs.queue.key, jobs.queue.intermediate_queue_key)
        task = handover.begin(id, beside=beside)
        assert task is not None
        return task

    return begin


def tries_left(workplace: Workplace, task: Task) -> int:
    assert workplace.jobs.find(task.job.id).status is JobStatus.QUEUED
    return int(workplace.jobs.queue.connection.hget(task.job.key, "retries_left") or 0) + 1


def test_of_a_dead_workers_pictures_only_the_one_in_its_hands_loses_a_try(
    workplace: Workplace, upkeep: Upkeep, begin: Begin
) -> None:
    dead = Handover(workplace.jobs.queue, worker="dead", place=DESERTED)
    other = Handover(workplace.jobs.queue, worker="also dead", place=DESERTED)
    written, alone, in_hand = begin(dead), begin(other), begin(dead)
    upkeep.run()
    assert [tries_left(workplace, task) for task in (written, alone, in_hand)] == [
        TRIES,
        TRIES - 1,
        TRIES - 1,
    ]


def test_both_lose_a_try_of_which_one_was_begun_beside_the_other(
    workplace: Workplace, upkeep: Upkeep, begin: Begin
) -> None:
    dead = Handover(workplace.jobs.queue, worker="dead", place=DESERTED)
    tasks = [begin(dead), begin(dead, beside=True), begin(dead, beside=True)]
    upkeep.run()
    assert [tries_left(workplace, task) for task in tasks] == [TRIES, TRIES - 1, TRIES - 1]


def test_a_picture_whose_outcome_was_being_written_loses_no_try_though_its_worker_is_silent_elsewhere(
    workplace: Workplace, upkeep: Upkeep, begin: Begin
) -> None:
    silent = Handover(workplace.jobs.queue, worker="silent", place="elsewhere")
    written, in_hand = begin(silent), begin(silent)
    connection = workplace.jobs.queue.connection
    connection.delete(written.execution.key)  # expired a little before the other
    upkeep.run()
    upkeep.run()
    assert tries_left(workplace, written) == TRIES
    assert workplace.jobs.find(in_hand.job.id).status is JobStatus.RUNNING
    connection.delete(in_hand.execution.key)
    upkeep.run()
    upkeep.run()
    assert tries_left(workplace, in_hand) == TRIES - 1


def test_a_worker_elsewhere_that_was_not_heard_of_for_a_moment_keeps_its_picture(
    workplace: Workplace, upkeep: Upkeep, begin: Begin
) -> None:
    worker = Handover(workplace.jobs.queue, worker="silent", place="elsewhere")
    task = begin(worker)
    for _ in range(3):  # as after each of three outages of Redis
        workplace.jobs.queue.connection.delete(task.execution.key)
        upkeep.run()
        worker.keep(task.execution)
        upkeep.run()
    assert workplace.jobs.find(task.job.id).status is JobStatus.RUNNING
    assert worker.finish(task, {})


def test_of_old_pictures_only_those_without_a_record_are_swept_away(
    workplace: Workplace, upkeep: Upkeep, begin: Begin
) -> None:
    living = Handover(workplace.jobs.queue, worker="living", place=of_this_process())
    with_record, without, young = begin(living).job.id, new_id(), new_id()
    for id in (without, young):
        workplace.storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
    long_ago = time.time() - 2 * workplace.settings.retention_seconds
    for id in (with_record, without):
        (folder,) = (workplace.settings.data_dir / "pictures").glob(f"*/{id}")
        os.utime(folder, (long_ago, long_ago))
    upkeep.run()
    assert workplace.storage.get(with_record, ORIGINAL) == workplace.storage.get(young, ORIGINAL) == b"pixels"
    with pytest.raises(FileNotFoundError):
        workplace.storage.get(without, ORIGINAL)


def test_a_heartbeat_that_comes_late_leaves_nothing_of_what_has_ended(
    workplace: Workplace, begin: Begin
) -> None:
    handover = Handover(workplace.jobs.queue, worker="living", place="here")
    ended, going_on = begin(handover), begin(handover)
    connection = workplace.jobs.queue.connection
    connection.delete(going_on.execution.key)  # Redis was away for too long
    assert handover.finish(ended, {})
    handover.keep(ended.execution)
    handover.keep(going_on.execution)
    assert not connection.exists(ended.execution.key)
    assert connection.ttl(going_on.execution.key) > 0


def test_what_upkeep_tells_carries_the_request_and_the_detection(
    workplace: Workplace,
    upkeep: Upkeep,
    begin: Begin,
    queue_picture: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_detector.worker.maintenance._STRANDED_SECONDS", 0.0)
    stream = io.StringIO()
    logs.set_up("json", "worker", stream)
    jobs = workplace.jobs
    with logs.on_behalf_of("a-request"):
        left = begin(Handover(jobs.queue, worker="dead", place=DESERTED)).job.id
        lost = begin(Handover(jobs.queue, worker="dead", place=DESERTED)).job.id
        expired = begin(Handover(jobs.queue, worker="living", place="here")).job.id
        stranded = new_id()
        queue_picture(jobs, stranded, "a.jpg", PICTURE)
    jobs.queue.connection.lrem(jobs.queue.key, 1, stranded)
    jobs.queue.connection.lpush(jobs.queue.intermediate_queue_key, stranded)
    jobs.queue.connection.hset(f"rq:job:{lost}", "retries_left", 0)
    jobs.queue.connection.delete(f"rq:job:{expired}")
    long_ago = time.time() - 2 * workplace.settings.retention_seconds
    (folder,) = (workplace.settings.data_dir / "pictures").glob(f"*/{expired}")
    os.utime(folder, (long_ago, long_ago))
    for _ in range(2):
        upkeep.run()
    told = {form["message"].partition(f"detection {form['detection']}")[2]: form for form in lines(stream)}
    assert {(of["request"], how) for how, of in told.items()} == {
        ("a-request", " was left by a worker that died"),
        ("a-request", " failed: detection_failed"),
        ("a-request", " was taken but not started; returned to the queue"),
        ("a-request", " is deleted: it has expired"),
    }
    assert {of["detection"] for of in told.values()} <= {id[:8] for id in (left, lost, expired, stranded)}
    assert told[" failed: detection_failed"]["detection"] == lost[:8]
    assert logs.request_id.get() is None


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]
