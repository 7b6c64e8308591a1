import io
from typing import Any, cast

import pytest
import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import DetectionExpired, StorageUnavailable
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs import deletions as module
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.deletions import Deletions
from flask_detector.jobs.keys import job_key, mark_key
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.records import DetectionRequest, Record
from flask_detector.jobs.share_links import ShareLinks
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from flask_detector.storage.base import ORIGINAL, Storage
from flask_detector.worker.attempts import Attempts
from tests.support.redis_content import content

OWNER = "a browser"


@pytest.fixture
def deletions(connection: redis.Redis, settings: Settings, storage: Storage) -> Deletions:
    return Deletions(connection, settings, storage.delete)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No deletion can be undone: it is due at once."""
    monkeypatch.setattr(module, "UNDO_SECONDS", 0)
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0)


@pytest.fixture
def sent(jobs: Jobs, storage: Storage, deletions: Deletions, settings: Settings) -> list[Record]:
    """Two pictures of one owner that wait, sent together as the batch `b`, of which the first is shared."""
    ids, connection = [new_id(), new_id()], jobs.queue.connection
    with reaching_redis(), connection.pipeline() as pipeline:
        for id in ids:
            storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
            request = DetectionRequest("auto", owner=OWNER, client="a client")
            jobs.enqueue(id, f"写{id}.jpg", PictureInfo("JPEG", "image/jpeg", 64, 48), request, pipeline)
            deletions._history.add(OWNER, id, pipeline)
        deletions._batches.add(Batch("b", OWNER, tuple(ids), ()), pipeline)
        pipeline.execute()
    links = ShareLinks(connection, settings.retention_seconds)
    links.create(ids[0])
    links.create("b")
    return jobs.find_all(ids)


def everything(connection: redis.Redis) -> dict[bytes, Any]:
    """Return all that is on Redis, but what is known of deletions."""
    return {key: value for key, value in content(connection).items() if b":deletion" not in key}


def test_what_is_undone_is_there_as_it_was_also_when_undone_twice(
    connection: redis.Redis, deletions: Deletions, jobs: Jobs, storage: Storage, sent: list[Record]
) -> None:
    before, left = everything(connection), connection.pttl(job_key(sent[0].id))
    deletions.later(sent, OWNER)
    assert jobs.find_all([record.id for record in sent]) == []
    with pytest.raises(DetectionExpired):
        jobs.find(sent[0].id)
    ((deletion, seconds),) = deletions.recent(OWNER)
    assert 8 < seconds <= 10
    assert [deletions.undo(OWNER, deletion.id) for _ in range(2)] == [2, 2]
    assert everything(connection) == before
    assert left - 60_000 < connection.pttl(job_key(sent[0].id)) <= left
    assert [storage.get(record.id, ORIGINAL) for record in sent] == [b"pixels"] * 2
    assert deletions.recent(OWNER) == []
    deletions.carry_out()
    assert everything(connection) == before


@pytest.mark.usefixtures("at_once")
def test_what_is_carried_out_leaves_nothing_but_the_marks_that_it_was_there(
    connection: redis.Redis, deletions: Deletions, storage: Storage, sent: list[Record]
) -> None:
    deletions.later(sent[:1], OWNER)
    assert deletions.recent(OWNER) == []
    deletions.carry_out()
    assert deletions._batches.find("b")
    deletions.later(sent[1:], OWNER)
    deletions.carry_out()
    left = set(everything(connection)) - {b"rq:queues"}
    assert left >= {mark_key(record.id).encode() for record in sent}
    assert [key for key in left if b"mark" not in key and b"batch-of" not in key] == []
    assert list(storage.older_than(-1)) == []
    assert connection.keys("flask-detector:deletion:*") == []


@pytest.mark.usefixtures("at_once")
def test_it_is_too_late_to_undo_what_is_due_though_nobody_has_carried_it_out_yet(
    connection: redis.Redis, deletions: Deletions, jobs: Jobs, sent: list[Record]
) -> None:
    deletions.later(sent, OWNER)
    (id,) = cast(list[bytes], connection.zrange("flask-detector:deletions", 0, -1))
    assert deletions.undo(OWNER, id.decode()) == 0
    assert jobs.find_all([record.id for record in sent]) == []


def test_each_of_several_deletions_can_be_undone_by_their_owner_alone(
    deletions: Deletions, jobs: Jobs, sent: list[Record]
) -> None:
    for record in sent:
        deletions.later([record], OWNER)
    newest, oldest = (deletion for deletion, _ in deletions.recent(OWNER))
    assert (oldest.filename, newest.filename) == tuple(record.filename for record in sent)
    assert deletions.recent("somebody else") == []
    assert deletions.undo("somebody else", oldest.id) == 0
    assert deletions.undo(OWNER, new_id()) == 0
    assert deletions.undo(OWNER, oldest.id) == 1
    assert jobs.find(sent[0].id).filename == sent[0].filename
    assert [deletion for deletion, _ in deletions.recent(OWNER)] == [newest]


def test_what_a_worker_took_meanwhile_waits_again_and_a_result_that_came_is_not_lost_to_another_record(
    deletions: Deletions, jobs: Jobs, sent: list[Record]
) -> None:
    queue, attempts = jobs.queue, Attempts(jobs.queue, worker="w", location="here")
    running = attempts.take()
    assert running is not None
    assert running.job.id == sent[0].id
    deletions.later(sent, OWNER)
    assert attempts.take() is None, "there is no such record"
    assert queue.job_ids == []
    ((deletion, _),) = deletions.recent(OWNER)
    assert deletions.undo(OWNER, deletion.id) == 2
    assert {record.status for record in jobs.find_all([one.id for one in sent])} == {JobStatus.QUEUED}
    assert sorted(queue.job_ids) == sorted(record.id for record in sent)


@pytest.mark.usefixtures("at_once")
def test_many_are_deleted_in_several_rounds(
    connection: redis.Redis, deletions: Deletions, storage: Storage, sent: list[Record]
) -> None:
    deletions.later(sent, OWNER)
    deletions.carry_out(seconds=0)
    assert len(list(storage.older_than(-1))) == 2
    assert all(deletions.hides(record.id) for record in sent)
    deletions.carry_out(seconds=60)
    assert list(storage.older_than(-1)) == []
    assert not any(deletions.hides(record.id) for record in sent)


@pytest.mark.usefixtures("at_once")
def test_what_the_storage_did_not_delete_is_deleted_later(
    connection: redis.Redis, settings: Settings, storage: Storage, sent: list[Record]
) -> None:
    failing = [sent[0].id]

    def delete(id: str) -> None:
        if id in failing:
            failing.clear()
            raise StorageUnavailable("The bucket is away.")
        storage.delete(id)

    deletions = Deletions(connection, settings, delete)
    deletions.later(sent, OWNER)
    with pytest.raises(StorageUnavailable):
        deletions.carry_out()
    assert len(list(storage.older_than(-1))) == 2
    deletions.carry_out()
    assert list(storage.older_than(-1)) == []
