"""Workers of queues of their own, as real processes."""

import io
from collections.abc import Callable

import pytest
import redis

from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from flask_detector.web.core.service import Service
from tests.support.waiting import wait_until


@pytest.mark.slow
def test_a_worker_takes_from_its_own_queue_alone_and_what_it_leaves_is_given_back_there(
    connection: redis.Redis,
    settings: Settings,
    jpeg: bytes,
    start_worker_with: Callable[..., "object"],
    queue_picture: Callable[..., None],
) -> None:
    routed = settings.model_copy(update={"routes": "nanodet-g=quick"})
    jobs, storage = Jobs(connection, routed), open_storage(settings)

    def send(model: str) -> str:
        id = new_id()
        storage.put(id, ORIGINAL, io.BytesIO(jpeg))
        picture = PictureInfo("JPEG", "image/jpeg", 64, 48)
        queue_picture(jobs, id, "a.jpg", picture, model)
        return id

    quick, other = send("nanodet-g"), send("auto")
    # As if a worker of an older version had died between taking it and beginning it.
    connection.lmove("rq:queue:quick", "rq:queue:quick:intermediate")
    start_worker_with(routed.model_copy(update={"queue": "quick"}))
    wait_until(lambda: jobs.find(quick).status is JobStatus.DONE, 40)
    assert jobs.find(other).status is JobStatus.QUEUED
    (worker,) = jobs.workers()
    assert (worker.queue, worker.models) == ("quick", frozenset({"nanodet-g"}))

    service = Service(routed, connection, storage)
    assert len(service.jobs.workers()) == 1
    assert service.overview.numbers().waiting == 1
    start_worker_with(routed)
    wait_until(lambda: jobs.find(other).status is JobStatus.DONE, 40)
