"""What a worker takes from its queue, against a real Redis."""

from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue

from flask_detector.broker.connection import connect
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.states import TRIES, JobStatus
from flask_detector.settings import Settings
from flask_detector.worker.attempts import Attempts
from tests.support.cutting_proxy import CuttingProxy


@pytest.fixture
def jobs(connection: redis.Redis, settings: Settings) -> Jobs:
    return Jobs(connection, settings)


@pytest.fixture
def ids(jobs: Jobs, queue_picture: Callable[..., None]) -> list[str]:
    ids = [new_id() for _ in range(3)]
    for id in ids:
        queue_picture(jobs, id, "a.jpg", PictureInfo("JPEG", "image/jpeg", 64, 48))
    return ids


@pytest.fixture
def interrupted(jobs: Jobs, settings: Settings, redis_url: str, ids: list[str]) -> Iterator[Attempts]:
    """Attempts of which the first was begun, but the answer never arrived."""
    proxy = CuttingProxy(redis_url.removeprefix("unix://"))
    with connect(proxy.url) as connection:
        attempts = Attempts(Jobs(connection, settings).queue, worker="one", location="here")
        Attempts(
            Queue("empty", connection=connection), worker="one", location="here"
        ).take()  # loads the script
        proxy.cut(lambda _, command: b"EVALSHA" in command, loses_answer=True, lasts=True)
        with pytest.raises(redis.ConnectionError):
            attempts.take()
        proxy.repair()
        assert [one.job_id for one in attempts.running()] == ids[:1]
        yield attempts
    proxy.close()


def test_pictures_are_taken_in_their_order_each_once(jobs: Jobs, ids: list[str]) -> None:
    one, other = (Attempts(jobs.queue, worker=name, location="here") for name in ("one", "other"))
    taken = [attempts.take() for attempts in (one, other, one, other)]
    assert [attempt and attempt.job.id for attempt in taken] == [*ids, None]
    assert {record.status for record in jobs.find_all(ids)} == {JobStatus.RUNNING}
    assert len(one.running()) == 3
    assert taken[0] is not None
    assert taken[0].job.retries_left == TRIES - 1
    assert one.locations([taken[0].execution]) == ["here"]


def test_what_was_taken_although_its_answer_was_lost_is_returned_by_the_repetition(
    jobs: Jobs, ids: list[str], interrupted: Attempts
) -> None:
    first, second = interrupted.take(), interrupted.take()
    assert [attempt and attempt.job.id for attempt in (first, second)] == ids[:2]
    assert first is not None
    assert interrupted.finish(first, {})
    assert jobs.queue.job_ids == ids[2:]
    assert [one.job_id for one in interrupted.running()] == ids[1:2]


def test_what_was_taken_and_cancelled_before_the_repetition_is_not_begun_again(
    jobs: Jobs, ids: list[str], interrupted: Attempts
) -> None:
    jobs.cancel(ids[0])
    following = interrupted.take()
    assert following is not None
    assert following.job.id == ids[1]
    assert jobs.find(ids[0]).status is JobStatus.CANCELLED
