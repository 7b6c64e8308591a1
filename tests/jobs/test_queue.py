import json
import re
import time
import zlib
from collections.abc import Callable
from typing import cast

import pytest
import redis
from rq.job import Job

from flask_detector.broker.connection import connect
from flask_detector.errors import (
    BrokerUnavailable,
    DetectionExpired,
    DetectionNotFinished,
    QueueFull,
    ServiceError,
    ShareUsedUp,
    UnknownDetection,
)
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import TASK, Jobs, new_id
from flask_detector.jobs.records import DetectionRequest, Failure
from flask_detector.jobs.states import JobStatus
from flask_detector.jobs.throughput import DetectionTimes
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.settings import DEFAULT_QUEUE, Settings
from flask_detector.worker.attempts import Attempt, Attempts
from tests.support.waiting import wait_until

PICTURE = PictureInfo("JPEG", "image/jpeg", 64, 48)


def enqueue(jobs: Jobs, id: str, model: str, client: str | None = None) -> None:
    jobs.check_room(model, client)
    with jobs.queue.connection.pipeline() as pipeline:
        jobs.enqueue(id, "cat.jpg", PICTURE, DetectionRequest(model, 0.25, client=client), pipeline)
        pipeline.execute()


def enqueued(jobs: Jobs, client: str | None = None) -> str:
    id = new_id()
    enqueue(jobs, id, "auto", client)
    return id


def test_ids_are_128_random_bits() -> None:
    ids = [new_id() for _ in range(1000)]
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)
    for bit in range(128):
        ones = sum(int(id, 16) >> bit & 1 for id in ids)
        assert 350 < ones < 650, bit  # by chance less than once in 10^20


def test_a_queued_detection_tells_all_that_it_was_given(jobs: Jobs, settings: Settings) -> None:
    record = jobs.find(enqueued(jobs))
    assert (record.status, record.filename, record.picture) == (JobStatus.QUEUED, "cat.jpg", PICTURE)
    assert (record.model, record.min_score, record.stage, record.failure) == ("auto", 0.25, None, None)
    assert (record.expires_at - record.created_at).total_seconds() == settings.retention_seconds
    assert abs(record.created_at.timestamp() - time.time()) < 5


def test_positions_count_the_pictures_before(jobs: Jobs) -> None:
    ids = [enqueued(jobs) for _ in range(3)]
    assert [jobs.find(id).position for id in ids] == [0, 1, 2]


def test_an_unknown_id_is_told_from_an_expired_one(jobs: Jobs) -> None:
    with pytest.raises(UnknownDetection):
        jobs.find(new_id())
    id = enqueued(jobs)
    jobs.delete(id)
    with pytest.raises(DetectionExpired):
        jobs.find(id)
    with pytest.raises(DetectionExpired):
        jobs.result(id)


def test_a_record_expires_by_itself_even_if_no_worker_ever_comes(
    connection: redis.Redis, settings: Settings
) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"retention_hours": 1 / 3600}))
    id = enqueued(jobs)
    wait_until(lambda: not jobs.exists(id), 5)
    with pytest.raises(DetectionExpired):
        jobs.find(id)


def test_a_result_that_is_not_there_yet_is_told(jobs: Jobs) -> None:
    with pytest.raises(DetectionNotFinished):
        jobs.result(enqueued(jobs))


def test_the_queue_is_bounded(connection: redis.Redis, settings: Settings) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"max_queue": 2}))
    enqueued(jobs)
    enqueued(jobs)
    with pytest.raises(QueueFull):
        enqueued(jobs)


def test_models_can_have_queues_of_their_own_each_with_its_positions_and_its_bound(
    connection: redis.Redis, settings: Settings
) -> None:
    routed = {"routes": "mask-rcnn-r50-fpn=gpu,auto=cpu", "max_queue": 1}
    jobs = Jobs(connection, settings.model_copy(update=routed))

    def sent(model: str) -> str:
        id = new_id()
        enqueue(jobs, id, model)
        return id

    ids = {
        "mask-rcnn-r50-fpn": sent("mask-rcnn-r50-fpn"),
        "auto": sent("auto"),
        "nanodet-g": sent("nanodet-g"),
    }
    for queue, model in {"gpu": "mask-rcnn-r50-fpn", "cpu": "auto", "detections": "nanodet-g"}.items():
        assert connection.lrange(f"rq:queue:{queue}", 0, -1) == [ids[model].encode()]
        assert jobs.find(ids[model]).position == 0
        with pytest.raises(QueueFull):
            sent(model)
    assert jobs.count() == 3
    jobs.cancel(ids["auto"])
    sent("auto")


def test_cancelling_takes_it_out_of_the_queue(jobs: Jobs) -> None:
    first, second = enqueued(jobs), enqueued(jobs)
    jobs.cancel(first)
    assert jobs.find(first).status is JobStatus.CANCELLED
    assert jobs.find(second).position == 0
    jobs.cancel(first)  # once more does no harm


def test_whoever_waits_is_woken_by_a_change(jobs: Jobs) -> None:
    id = enqueued(jobs)
    with jobs.waiting(id) as wait:
        wait(0.1)  # takes in the confirmation of the subscription
        jobs.cancel(id)
        start = time.monotonic()
        wait(10)
        assert time.monotonic() - start < 5


def test_a_job_is_kept_as_json_and_never_as_a_pickle(jobs: Jobs, connection: redis.Redis) -> None:
    record = connection.hgetall(Job.key_for(enqueued(jobs)))
    function, _, arguments, options = json.loads(zlib.decompress(cast(bytes, record[b"data"])))
    assert (function, arguments, options) == (TASK, [], {"model": "auto", "min_score": 0.25})
    assert json.loads(record[b"meta"])["filename"] == "cat.jpg"


def test_a_redis_that_is_gone_is_its_own_error(settings: Settings) -> None:
    with connect("redis://127.0.0.1:1") as nowhere:
        jobs = Jobs(nowhere, settings)
        for call in (lambda: jobs.find(new_id()), lambda: enqueued(jobs), jobs.workers):
            with pytest.raises(BrokerUnavailable):
                call()


def test_one_clients_flood_leaves_room_for_others(connection: redis.Redis, settings: Settings) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"max_queue": 10, "max_queue_per_client": 3}))
    ids = [enqueued(jobs, client="192.0.2.1") for _ in range(3)]
    with pytest.raises(ShareUsedUp) as refusal:
        enqueued(jobs, client="192.0.2.1")
    assert refusal.value.retry_after is not None
    enqueued(jobs, client="192.0.2.2")
    enqueued(jobs)
    jobs.cancel(ids[0])
    enqueued(jobs, client="192.0.2.1")
    assert not [key for key in connection.scan_iter() if b"192.0.2" in key]


def finish(jobs: Jobs, id: str) -> None:
    attempt = taken(jobs, id)
    assert Attempts(jobs.queue, worker="w", location="").finish(attempt, {})


def fail(jobs: Jobs, id: str) -> None:
    attempt = taken(jobs, id)
    assert Attempts(jobs.queue, worker="w", location="").fail(attempt, Failure("detection_failed", "", ""))


def taken(jobs: Jobs, id: str) -> Attempt:
    attempt = Attempts(jobs.queue, worker="w", location="").take()
    assert attempt is not None
    assert attempt.job.id == id
    return attempt


def test_plenty_of_room_is_looked_at_once_in_a_while_and_the_last_of_it_each_time(
    connection: redis.Redis, settings: Settings
) -> None:
    limited = settings.model_copy(update={"max_queue": 60, "max_queue_per_client": 40})
    jobs = Jobs(connection, limited)

    def looked() -> int:
        return int(connection.info("commandstats").get("cmdstat_scard", {}).get("calls", 0))

    before = looked()
    for _ in range(40):
        enqueued(jobs, "192.0.2.1")
    assert looked() - before <= 30  # of 40, since the last ten are looked at one by one
    with pytest.raises(ShareUsedUp):
        enqueued(jobs, "192.0.2.1")
    for number in range(20):  # each of another client: the queue's room counts for all of them
        enqueued(jobs, f"198.51.100.{number}")
    with pytest.raises(QueueFull):
        enqueued(jobs, "192.0.2.2")


@pytest.mark.parametrize("end", [Jobs.cancel, Jobs.delete, Jobs.drop, finish, fail])
def test_what_has_ended_leaves_its_clients_room_at_once(
    connection: redis.Redis, settings: Settings, end: Callable[[Jobs, str], None]
) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"max_queue_per_client": 1}))
    id = enqueued(jobs, client="192.0.2.1")
    with pytest.raises(ShareUsedUp):
        enqueued(jobs, client="192.0.2.1")
    end(jobs, id)
    enqueued(jobs, client="192.0.2.1")


def test_what_ended_without_a_word_leaves_its_clients_room_soon(
    connection: redis.Redis, settings: Settings
) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"max_queue_per_client": 1}))
    id = enqueued(jobs, client="192.0.2.1")
    with pytest.raises(ShareUsedUp):
        enqueued(jobs, client="192.0.2.1")
    connection.delete(f"rq:job:{id}")  # it expired

    def has_room() -> bool:
        try:
            return bool(enqueued(jobs, client="192.0.2.1"))
        except ShareUsedUp:
            return False

    wait_until(has_room, 5)


def test_who_is_refused_is_told_a_time_that_follows_from_the_pace(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"max_queue": 100}))
    for _ in range(100):
        enqueued(jobs)
    DetectionTimes(connection).record("slow", 4.0)
    for workers, seconds in ((0, 30), (1, 40), (2, 20)):
        monkeypatch.setattr(
            jobs,
            "workers",
            lambda n=workers: [
                WorkerInfo(str(i), True, "slow", frozenset(), DEFAULT_QUEUE) for i in range(n)
            ],
        )
        with pytest.raises(QueueFull) as refusal:
            enqueued(jobs)
        assert refusal.value.retry_after == seconds  # a tenth of the queue is done by then


def test_uploads_are_refused_before_redis_is_full(
    jobs: Jobs, connection: redis.Redis, settings: Settings
) -> None:
    kept = enqueued(jobs)
    connection.config_set("maxmemory", int(connection.info("memory")["used_memory"] * 1.05))
    try:
        with pytest.raises(ServiceError, match="nearly full"):
            Jobs(connection, settings).check_room("auto")
    finally:
        connection.config_set("maxmemory", 0)
    assert jobs.find(kept).status is JobStatus.QUEUED
