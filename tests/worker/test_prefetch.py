import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import redis
from PIL import Image
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from flask_detector.detectors import AUTO
from flask_detector.errors import DetectionExpired
from flask_detector.imaging.decode import PictureInfo
from flask_detector.imaging.pixels import Pixels
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.records import JobStatus
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from flask_detector.worker.detect_task import Workplace
from flask_detector.worker.prefetch import Ahead, Next
from flask_detector.worker.transitions import Handover, Task
from tests.support.waiting import wait_until

# A worker whose reading ahead hangs at pictures with a comment.
HANGING = """
import io, sys, threading
from pathlib import Path
from PIL import Image
from flask_detector.worker import rq_worker as worker
from flask_detector.broker.connection import connect
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL

decode = worker.Workplace.decode

def hang(self, id, enough):
    comment = Image.open(io.BytesIO(self.storage.get(id, ORIGINAL))).info.get("comment")
    if comment and threading.current_thread().name == "ahead":
        threading.Event().wait()
    return decode(self, id, enough)

worker.Workplace.decode = hang
worker._QUICK_SECONDS = 60.0
settings = Settings(data_dir=Path(sys.argv[1]), redis_url=sys.argv[2], offline=True)
worker.main(settings, connect(settings.redis_url), open_storage(settings))
"""

Enqueue = Callable[..., str]


@pytest.fixture
def workplace(settings: Settings, connection: redis.Redis) -> Workplace:
    return Workplace(settings, connection, open_storage(settings))


@pytest.fixture
def begun() -> list[Task]:
    return []


@pytest.fixture
def ahead(workplace: Workplace, begun: list[Task]) -> Ahead:
    return Ahead(workplace, Handover(workplace.jobs.queue, worker="one", place="here"), begun.append)


@pytest.fixture
def enqueue(workplace: Workplace, queue_picture: Callable[..., None]) -> Enqueue:
    def enqueue(*, width: int = 64, comment: bytes = b"", stored: bool = True) -> str:
        file = io.BytesIO()
        Image.new("RGB", (width, 48), (200, 0, 0)).save(file, "JPEG", comment=comment)
        id = new_id()
        if stored:
            workplace.storage.put(id, ORIGINAL, io.BytesIO(file.getvalue()))
        picture = PictureInfo("JPEG", "image/jpeg", width, 48)
        queue_picture(workplace.jobs, id, "a.jpg", picture)
        return id

    return enqueue


def look(ahead: Ahead) -> Next | None:
    ahead.look(AUTO, None)
    return ahead.take()


def test_the_next_picture_is_begun_and_decoded_beside_the_present_one(
    ahead: Ahead, enqueue: Enqueue, workplace: Workplace, begun: list[Task]
) -> None:
    oldest, _ = enqueue(), enqueue()
    found = look(ahead)
    assert found is not None
    assert found.decoded is not None
    assert (found.id, [task.job.id for task in begun]) == (oldest, [oldest])
    assert workplace.jobs.find(oldest).status is JobStatus.RUNNING
    pixels = Pixels.of(found.decoded.result(10).pixels)
    assert (pixels.width, pixels.height) == (64, 48)
    assert workplace.jobs.queue.count == 1


def test_nothing_is_found_before_it_is_looked_for(ahead: Ahead, enqueue: Enqueue) -> None:
    enqueue()
    assert ahead.take() is None


def test_no_picture_is_kept_from_a_worker_that_has_none(
    ahead: Ahead, enqueue: Enqueue, workplace: Workplace, connection: redis.Redis
) -> None:
    connection.sadd(WORKERS_BY_QUEUE_KEY % workplace.jobs.queue.name, "one", "two")
    enqueue(), enqueue()
    assert look(ahead) is None
    third = enqueue()
    found = look(ahead)
    assert found is not None
    assert found.id != third
    assert workplace.jobs.queue.count == 2


def test_a_picture_that_was_tried_before_is_taken_but_not_begun_beside_another(
    ahead: Ahead, enqueue: Enqueue, connection: redis.Redis, begun: list[Task]
) -> None:
    tried = enqueue()
    connection.hset(f"rq:job:{tried}", "retries_left", 1)
    assert look(ahead) == Next(tried)
    assert begun == []


def test_a_large_picture_is_taken_but_not_begun_beside_another(
    ahead: Ahead, enqueue: Enqueue, begun: list[Task]
) -> None:
    large = enqueue(width=60_000)
    assert look(ahead) == Next(large)
    assert begun == []


def test_a_cancelled_picture_is_passed_over(ahead: Ahead, enqueue: Enqueue, workplace: Workplace) -> None:
    cancelled = enqueue()
    workplace.jobs.cancel(cancelled)
    workplace.jobs.queue.connection.rpush(workplace.jobs.queue.key, cancelled)
    assert look(ahead) is None
    assert look(ahead) is None


def test_a_picture_for_another_model_is_begun_but_not_decoded(ahead: Ahead, enqueue: Enqueue) -> None:
    enqueue()
    ahead.look("another", None)
    found = ahead.take()
    assert found is not None
    assert found.task is not None
    assert found.decoded is None


def test_what_keeps_a_picture_from_being_decoded_is_raised_where_it_is_wanted(
    ahead: Ahead, enqueue: Enqueue
) -> None:
    enqueue(stored=False)
    found = look(ahead)
    assert found is not None
    assert found.decoded is not None
    with pytest.raises(DetectionExpired):
        found.decoded.result(10)


def test_a_picture_that_was_decoded_ahead_is_detected_as_any_other(
    ahead: Ahead, enqueue: Enqueue, workplace: Workplace
) -> None:
    id = enqueue()
    ahead.look(AUTO, workplace.detectors.get(AUTO).enough)
    found = ahead.take()
    assert found is not None
    workplace.ahead = found.decoded
    one = workplace.run(id, model=AUTO, min_score=0.01)
    assert workplace.ahead is None
    other = workplace.run(id, model=AUTO, min_score=0.01)
    assert one["instances"] == other["instances"]
    assert np.isfinite(one["timings_ms"]["decode"])


def test_a_decoder_that_hangs_ahead_costs_its_picture_alone(
    enqueue: Enqueue,
    workplace: Workplace,
    redis_url: str,
) -> None:
    ids = [enqueue(), enqueue()]
    hanging = enqueue(comment=b"hang")
    after = [enqueue(), enqueue()]
    workplace.jobs.queue.connection.hset(f"rq:job:{hanging}", "timeout", 2)
    command = [sys.executable, "-c", HANGING, str(workplace.settings.data_dir), redis_url]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: workplace.jobs.find(hanging).status is JobStatus.FAILED, 30)
        assert process.wait(20) == 0
        statuses = {workplace.jobs.find(id).status for id in ids}
        assert statuses == {JobStatus.DONE}
        assert {workplace.jobs.find(id).status for id in after} == {JobStatus.QUEUED}
        assert workplace.jobs.queue.count == len(after)
    finally:
        process.kill()
        process.wait(10)


def test_a_record_that_can_not_be_read_is_told_to_the_worker(
    ahead: Ahead, enqueue: Enqueue, connection: redis.Redis
) -> None:
    connection.hset(f"rq:job:{enqueue()}", "meta", "no JSON")
    with pytest.raises(ValueError, match="Expecting value"):
        look(ahead)
    whole = enqueue()
    found = look(ahead)
    assert found is not None
    assert found.id == whole
