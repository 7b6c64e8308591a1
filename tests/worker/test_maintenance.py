import io
from collections.abc import Callable

import pytest
import redis

from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.records import JobStatus
from flask_detector.jobs.rq_records import TRIES
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
