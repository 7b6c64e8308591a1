"""Runs of teaching: queued, looked up, cancelled, tried again and deleted.

A run is a job of RQ with the states and moves of a detection, in a queue of its own. It stays until somebody
deletes it. What came of it lies in the storage, under ``teach/<id>``.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final, cast

import redis
from redis.client import Pipeline
from rq import Queue, Retry
from rq.job import Job

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import QueueFull, TeachingError, UnknownRun
from flask_detector.jobs.keys import job_key, running_key
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.records import Failure
from flask_detector.jobs.rq_records import in_utc, status_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import CANCEL, TRY_AGAIN, JobStatus
from flask_detector.jobs.transitions import Transitions
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.process.logs import request_id
from flask_detector.settings import TEACH_QUEUE

TASK = "teach"

# Each time it goes on from its last checkpoint.
_TRIES: Final = 10

TEACHER_DIED: Final = Failure(
    TeachingError.code,
    f"The process that teaches ended unexpectedly {_TRIES} times.",
    "It may need more memory than there is; the worker's log may say more.",
)

TURN_KEY: Final = "flask-detector:teacher"
"""Held by the one process that teaches, on whichever machine."""

_RUNS = "flask-detector:lessons"
_MOST_WAITING = 20
_PROGRESS = "progress"


@dataclass(frozen=True)
class LessonRequest:
    """What is to be taught: classes of a collection, all that are marked where none are named.

    minutes: how long it may take.
    """

    collection: str
    base: str
    name: str
    classes: tuple[str, ...] = ()
    minutes: float = 5.0


@dataclass
class Progress:
    """How far a run is.

    what: it does, in words. part: of what is to be learned, in 0..1.
    losses: of the training, and proven: AP50 and AP on the pictures that prove it, by part.
    said: sentences for people.
    """

    what: str = ""
    part: float = 0.0
    seconds_left: float | None = None
    losses: list[tuple[float, float]] = field(default_factory=list)
    proven: list[tuple[float, float, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """A run as it stands.

    collection_name: as it was called then.
    folder: of the machine that has begun it, None before.
    position: how many runs are before it in the queue; None unless it is queued.
    """

    id: str
    status: JobStatus
    request: LessonRequest
    collection_name: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    folder: str | None
    position: int | None
    failure: Failure | None
    progress: Progress

    @property
    def pair(self) -> str:
        """The name of the model that finds the base's classes, too."""
        return f"{self.request.base}-with-{self.request.name}"

    @property
    def path(self) -> str:
        """Where what came of it lies in the storage."""
        return path_of(self.id)


class Lessons:
    """The runs of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._transitions = Transitions(connection)
        self.queue = Queue(TEACH_QUEUE, connection=connection, serializer=Serializer)

    def enqueue(self, request: LessonRequest, collection_name: str) -> str:
        """Queue a run; return its id. Raises QueueFull."""
        id = new_id()
        with reaching_redis():
            if self.queue.count >= _MOST_WAITING:
                raise QueueFull(f"{_MOST_WAITING} models are waiting to be taught already.")
            with self._connection.pipeline() as pipeline:
                self.queue.enqueue_call(
                    TASK,
                    kwargs=asdict(request),
                    job_id=id,
                    timeout=-1,
                    result_ttl=-1,
                    failure_ttl=-1,
                    description="teaching",
                    meta={"collection_name": collection_name, "request": request_id.get()},
                    retry=Retry(max=_TRIES - 1, enqueue_at_front=True),
                    pipeline=pipeline,
                )
                pipeline.zadd(_RUNS, {id: time.time()})
                pipeline.execute()
        return id

    def find(self, id: str) -> Run:
        """Return a run; raises UnknownRun."""
        for run in self._runs([id]):
            return run
        raise UnknownRun("There is no such run.")

    def all(self) -> list[Run]:
        """Return all runs, the newest first."""
        with reaching_redis():
            ids = cast(list[bytes], self._connection.zrevrange(_RUNS, 0, -1))
        return self._runs([id.decode() for id in ids])

    def cancel(self, id: str) -> None:
        """Take a run out of the queue, or stop it within seconds; no matter once it ended."""
        job = self._fetch(id)
        with reaching_redis():
            self._transitions.make(CANCEL, job, lambda pipeline: pipeline.lrem(self.queue.key, 1, id))

    def try_again(self, id: str) -> None:
        """Queue a run that failed; it goes on from its last checkpoint, if there is one."""
        job = self._fetch(id)

        def write(pipeline: Pipeline) -> None:
            pipeline.hset(job.key, "retries_left", _TRIES - 1)
            pipeline.zrem(self.queue.failed_job_registry.key, id)
            pipeline.rpush(self.queue.key, id)

        with reaching_redis():
            self._transitions.make(TRY_AGAIN, job, write)

    def delete(self, id: str) -> None:
        """Forget a run, whatever it is doing."""
        job = self._fetch(id)
        with reaching_redis(), self._connection.pipeline() as pipeline:
            job.delete(pipeline=pipeline)
            pipeline.zrem(_RUNS, id)
            pipeline.execute()

    def report(self, id: str, progress: Progress) -> None:
        """Tell how far a run is; nothing is left of one that was deleted."""
        if self._connection.exists(job_key(id)):
            self._connection.hset(job_key(id), _PROGRESS, json.dumps(asdict(progress)))

    def has_teacher(self) -> bool:
        """Tell whether a process teaches, on whichever machine."""
        with reaching_redis():
            return bool(self._connection.exists(TURN_KEY))

    def keep_turn(self, seconds: int) -> None:
        """Let whoever teaches be the one for so many seconds more."""
        with reaching_redis():
            self._connection.expire(TURN_KEY, seconds)

    def is_one_for(self, folder: str, workers: Iterable[WorkerInfo]) -> bool:
        """Tell whether the next run is for the machine with that folder, and none is at work.

        What another machine has begun is left to it, while it lives: the checkpoints are there.
        """
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            pipeline.lindex(self.queue.key, 0)
            pipeline.zcard(running_key(TEACH_QUEUE))
            first, running = pipeline.execute()
        if first is None or running:
            return False
        begun_by = next((run.folder for run in self._runs([first.decode()])), None)
        others = {one.models_folder for one in workers if one.teaches} - {folder}
        return begun_by not in others

    def _runs(self, ids: list[str]) -> list[Run]:
        with reaching_redis():
            with self._connection.pipeline(transaction=False) as pipeline:
                for id in ids:
                    pipeline.hgetall(job_key(id))
                    pipeline.lpos(self.queue.key, id)
                answers = pipeline.execute()
            return [
                self._run(id, fields, position)
                for id, fields, position in zip(ids, answers[::2], answers[1::2], strict=True)
                if fields and fields.get(b"origin") == TEACH_QUEUE.encode()
            ]

    def _run(self, id: str, fields: dict[bytes, bytes], position: int | None) -> Run:
        job = Job(id, connection=self._connection, serializer=Serializer)
        job.restore(fields)
        status = status_of(job.get_status(refresh=False))
        failure = job.meta.get("failure") if status is JobStatus.FAILED else None
        progress = fields.get(_PROGRESS.encode())
        return Run(
            id,
            status,
            LessonRequest(**{**job.kwargs, "classes": tuple(job.kwargs["classes"])}),
            job.meta["collection_name"],
            in_utc(job.created_at),
            None if job.started_at is None else in_utc(job.started_at),
            None if job.ended_at is None or not status.is_final else in_utc(job.ended_at),
            job.meta.get("folder"),
            position if status is JobStatus.QUEUED else None,
            None if failure is None else Failure(**failure),
            Progress() if progress is None else Progress(**json.loads(progress)),
        )

    def _fetch(self, id: str) -> Job:
        self.find(id)
        job = Job(id, connection=self._connection, serializer=Serializer)
        job.origin = TEACH_QUEUE
        return job


def path_of(id: str) -> str:
    """Return where what came of a run lies in the storage."""
    return f"teach/{id}"
