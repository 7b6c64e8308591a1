"""The queue and its workers as their operator sees them, and what an operator can do.

Knows RQ's registries, as `jobs.queue` and `worker` do. Of a detection's id only the beginning leaves this
module, and no file name does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job
from rq.utils import now, utcformat

from flask_detector.broker.connection import reaching_redis
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.rq_records import failure_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import TRIES, TRY_AGAIN
from flask_detector.jobs.transitions import Transitions
from flask_detector.process.logs import short


@dataclass(frozen=True)
class Numbers:
    """How the queue is doing.

    oldest_seconds: how long the picture that is next has been waiting; 0 where none is.
    """

    waiting: int
    running: int
    oldest_seconds: float


@dataclass(frozen=True)
class Item:
    """A detection in a list: the beginning of its id, how long ago it came to where it is, and what is known.

    stage: of a running one. code, message: of a failed one.
    """

    short_id: str
    seconds: float
    model: str
    stage: str = ""
    code: str = ""
    message: str = ""


class Overview:
    """The overview of one Redis. Every method raises BrokerUnavailable when it can't be reached.

    queues: those that it is of; None for all.
    """

    def __init__(self, connection: redis.Redis, jobs: Jobs, queues: Sequence[Queue] | None = None) -> None:
        self._connection = connection
        self._jobs = jobs
        self._queues = jobs.queues if queues is None else queues
        self._transitions = Transitions(connection)

    def numbers(self) -> Numbers:
        """Return how many pictures wait and run, and how long the next one has waited."""
        with reaching_redis():
            oldest = self._fetch([id for queue in self._queues for id in queue.get_job_ids(0, 1)])
            waited = max((_seconds_since(job.enqueued_at) for job in oldest), default=0.0)
            running = sum(len(one.started_job_registry.get_job_ids(cleanup=False)) for one in self._queues)
            return Numbers(self._jobs.count(), running, waited)

    def waiting(self, most: int) -> list[Item]:
        """Return the pictures that are next."""
        with reaching_redis():
            jobs = self._fetch([id for queue in self._queues for id in queue.get_job_ids(0, most)])[:most]
            return [Item(short(job.id), _seconds_since(job.enqueued_at), _model(job)) for job in jobs]

    def running(self, most: int) -> list[Item]:
        """Return the detections in hand, the oldest first, with their stages."""
        with reaching_redis():
            registries = [queue.started_job_registry for queue in self._queues]
            ids = [id for one in registries for id in one.get_job_ids(0, most - 1, cleanup=False)]
            jobs = self._fetch(ids)[:most]
            items = []
            for job in sorted(jobs, key=lambda job: job.started_at or datetime.max):
                stage = self._jobs.stage(job.id) or ""
                items.append(Item(short(job.id), _seconds_since(job.started_at), _model(job), stage=stage))
            return items

    def failed(self, most: int) -> list[Item]:
        """Return the detections that failed last, the newest first."""
        with reaching_redis():
            registries = [queue.failed_job_registry for queue in self._queues]
            ids = [id for one in registries for id in one.get_job_ids(0, most - 1, desc=True, cleanup=False)]
            items = []
            for job in self._fetch(ids):
                failure = failure_of(job)
                items.append(
                    Item(
                        short(job.id),
                        _seconds_since(job.ended_at),
                        _model(job),
                        code=failure.code,
                        message=failure.message,
                    )
                )
            return items

    def failed_count(self) -> int:
        """Return how many failed detections are kept."""
        with reaching_redis():
            return sum(self._connection.zcard(queue.failed_job_registry.key) for queue in self._queues)

    def retry_failed(self) -> int:
        """Queue again what failed for another reason than its picture; return how many."""
        count = 0
        with reaching_redis():
            registries = [queue.failed_job_registry for queue in self._queues]
            for job in self._fetch([id for one in registries for id in one.get_job_ids(cleanup=False)]):
                if failure_of(job).is_the_pictures:
                    continue
                count += self._try_again(job)
        return count

    def _try_again(self, job: Job) -> bool:
        """Queue a failed detection once more; tell whether it was one still."""
        meta = {name: value for name, value in job.meta.items() if name != "failure"}

        def write(pipeline: Pipeline) -> None:
            queue = Queue(job.origin, connection=self._connection, serializer=Serializer)
            fields: dict[Any, Any] = {
                "enqueued_at": utcformat(now()),
                "started_at": "",
                "ended_at": "",
                "retries_left": TRIES - 1,
                "meta": job.serializer.dumps(meta),
            }
            pipeline.hset(job.key, mapping=fields)
            pipeline.zrem(queue.failed_job_registry.key, job.id)
            pipeline.rpush(queue.key, job.id)

        return self._transitions.make(TRY_AGAIN, job, write)

    def cancel_waiting(self) -> int:
        """Cancel everything that waits; return how many. Their pages say that they were cancelled."""
        with reaching_redis():
            jobs = self._fetch([id for queue in self._queues for id in queue.get_job_ids()])
        for job in jobs:
            self._jobs.cancel(job.id)
        return len(jobs)

    def _fetch(self, ids: list[str]) -> list[Job]:
        found = Job.fetch_many(ids, connection=self._connection, serializer=Serializer)
        return [job for job in found if job is not None]


def _model(job: Job) -> str:
    kwargs: dict[str, Any] = job.kwargs or {}
    return str(kwargs.get("model", ""))


def _seconds_since(moment: datetime | None) -> float:
    if moment is None:
        return 0.0
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (datetime.now(UTC) - aware).total_seconds())
