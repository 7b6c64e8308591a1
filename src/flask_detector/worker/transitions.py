"""How a detection passes from hand to hand: begun, finished, failed, given back.

Each of these is one transaction that does nothing unless the detection still stands as it must. So nothing
happens twice, though a message is sent again after a lost answer, two workers hold the same picture, or its
user cancels at that moment. No clock of a host plays a part: that a worker lives is told by a key of its
execution, which Redis lets expire.
"""

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis
from redis.client import Pipeline
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.results import Result
from rq.utils import now, parse_composite_key, utcformat

from flask_detector.jobs.admission import leave
from flask_detector.jobs.atomic import Guarded
from flask_detector.jobs.deliveries import let_go
from flask_detector.jobs.notifications import CHANGED, ENDED, channel_of
from flask_detector.jobs.queue import WORKER_SILENCE, stage_key
from flask_detector.jobs.records import Failure
from flask_detector.jobs.serializer import Serializer

# RQ's registry of running detections holds times by the clocks of hosts, which need not agree; to it, ours
# never expire.
_NEVER = -1

# The id of an execution: which worker it is of, at random, and the how manieth of that worker.
_TOKEN_DIGITS = 20
_NUMBER_DIGITS = 12

# What the id of an execution ends with that was begun while the one before it was at work.
_BESIDE = "b"


@dataclass(frozen=True)
class Task:
    """A detection in a worker's hands."""

    job: Job
    execution: Execution


@dataclass(frozen=True)
class _Standing:
    """What a transaction finds when it begins; `fields` are all of the job's."""

    fields: dict[bytes, bytes]

    @property
    def status(self) -> RqStatus | None:
        status = self.fields.get(b"status")
        return None if status is None else RqStatus(status.decode())

    @property
    def tries_left(self) -> int:
        return int(self.fields.get(b"retries_left", 0))


class Handover:
    """The transactions of one worker on one queue. Each raises what Redis's client raises."""

    def __init__(
        self, queue: Queue, *, worker: str, place: str, on_delivery: Callable[[], None] = lambda: None
    ) -> None:
        """on_delivery: called when a detection has ended whose end is to be told to a receiver."""
        self._queue = queue
        self._started = queue.started_job_registry
        self._finished = queue.finished_job_registry
        self._failed = queue.failed_job_registry
        self._connection = queue.connection
        self._worker = worker
        self._place = place
        self._token = secrets.token_hex(_TOKEN_DIGITS // 2)
        self._begun = 0
        self._guarded = Guarded(self._connection, worker)
        self._on_delivery = on_delivery

    def begin(self, id: str, *, beside: bool = False) -> Task | None:
        """Take a detection that was moved to the intermediate list; None if it is not to be done any more.

        beside: whether another detection of this worker is at work meanwhile.
        """
        job = Job(id, connection=self._connection, serializer=Serializer)
        # One whose answer was lost is begun again under the same id.
        execution_id = f"{self._token}{self._begun:0{_NUMBER_DIGITS}x}{_BESIDE if beside else ''}"
        execution = Execution(execution_id, id, self._connection, worker_name=self._worker)

        def begin(pipeline: Pipeline) -> None:
            job.prepare_for_execution(self._worker, pipeline)
            execution.save(WORKER_SILENCE, pipeline)
            self._tell_place(execution, pipeline)
            self._started.add_execution(execution, pipeline, ttl=_NEVER)

        found = self._guarded.write(
            id,
            begin,
            where={RqStatus.QUEUED},
            # Begun by this worker: the answer was lost.
            where_mine={RqStatus.STARTED},
            always=lambda pipeline: pipeline.lrem(self._queue.intermediate_queue_key, 1, id),
            with_fields=True,
        )
        self._begun += 1
        if found is None:
            return None
        job.restore(found)
        return Task(job, execution)

    def keep(self, execution: Execution) -> None:
        """Tell that an execution goes on; of one that has ended meanwhile nothing is left behind."""
        self._guarded.write(
            execution.job_id,
            lambda pipeline: self._tell_place(execution, pipeline),
            where_mine={RqStatus.STARTED},
        )

    def _tell_place(self, execution: Execution, pipeline: Pipeline) -> None:
        pipeline.hset(execution.key, "place", self._place)
        pipeline.expire(execution.key, WORKER_SILENCE)

    def finish(self, task: Task, form: dict[str, Any]) -> bool:
        """Write a result; False if the detection was deleted, cancelled or finished elsewhere meanwhile.

        A worker that was thought dead may still be the first to finish.
        """
        job = task.job

        def write(pipeline: Pipeline) -> None:
            self._end(pipeline, job, RqStatus.FINISHED)
            Result.create(
                job,
                Result.Type.SUCCESSFUL,
                job.result_ttl,
                return_value=form,
                worker_name=self._worker,
                pipeline=pipeline,
                execution_id=task.execution.id,
                execution_started_at=task.execution.created_at,
                execution_ended_at=now(),
            )
            self._finished.add(job, job.result_ttl or 0, pipeline)
            pipeline.lrem(self._queue.key, 1, job.id)  # it may have been given back

        return self._end_once(task, write, where={RqStatus.STARTED, RqStatus.QUEUED})

    def fail(self, task: Task, failure: Failure) -> bool:
        """Write why there is no result; False if that does not matter any more."""
        task.job.meta["failure"] = asdict(failure)
        return self._end_once(
            task,
            lambda pipeline: self._end(pipeline, task.job, RqStatus.FAILED),
            where_mine={RqStatus.STARTED},
        )

    def _end_once(
        self,
        task: Task,
        write: Callable[[Pipeline], None],
        *,
        where: Collection[RqStatus] = (),
        where_mine: Collection[RqStatus] = (),
    ) -> bool:
        has_ended = self._guarded.write(
            task.job.id,
            write,
            where=where,
            where_mine=where_mine,
            always=lambda pipeline: self._forget(task.execution, pipeline),
        )
        if has_ended is None:
            return False
        self._tell_of_delivery(task.job)
        return True

    def _forget(self, execution: Execution, pipeline: Pipeline) -> None:
        pipeline.delete(execution.key)
        pipeline.zrem(self._started.key, execution.composite_key)

    def give_back(self, execution: Execution, *, as_a_try: bool) -> RqStatus | None:
        """Put a detection at the front of the queue again, or end it when it was tried often enough.

        as_a_try: whether it may be the picture's fault that nothing came of it.

        Returns what it is now, QUEUED or FAILED; None if it was in nobody's hands any more.
        """
        job = Job(execution.job_id, connection=self._connection, serializer=Serializer)

        became = RqStatus.QUEUED

        def write(pipeline: Pipeline, found: _Standing) -> None:
            nonlocal became
            became = RqStatus.QUEUED
            if as_a_try and found.tries_left == 0:
                became = RqStatus.FAILED
                job.restore(found.fields)
                self._end(pipeline, job, became)
                return
            left = found.tries_left - 1 if as_a_try else found.tries_left
            pipeline.hset(job.key, mapping={"status": RqStatus.QUEUED.value, "retries_left": left})
            pipeline.lpush(self._queue.key, job.id)
            pipeline.publish(channel_of(job.id), CHANGED)

        if not self._once(execution, lambda found: found.status is RqStatus.STARTED, write):
            return None
        if became is RqStatus.FAILED:
            self._tell_of_delivery(job)
        return became

    def executions(self) -> list[Execution]:
        """Return those that were begun and have not ended."""
        entries = cast(list[bytes], self._connection.zrange(self._started.key, 0, -1))
        pairs = [parse_composite_key(entry.decode()) for entry in entries]
        return [Execution(id, job_id, self._connection) for job_id, id in pairs]

    @staticmethod
    def in_hand(executions: list[Execution]) -> set[str]:
        """Return the ids of those executions whose pictures may be what their workers died of.

        That is each worker's newest one, and the one before where the newest was begun beside it. Of others
        only the outcome is still to be written.
        """
        of_workers: dict[str, list[str]] = {}
        for id in sorted(execution.id for execution in executions):
            of_workers.setdefault(id[:_TOKEN_DIGITS], []).append(id)
        return {id for ids in of_workers.values() for id in ids[-2 if ids[-1].endswith(_BESIDE) else -1 :]}

    def places(self, executions: list[Execution]) -> list[str | None]:
        """Return where each is done; None where nothing was heard of it for too long."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for execution in executions:
                pipeline.hget(execution.key, "place")
            return [None if place is None else place.decode() for place in pipeline.execute()]

    def stranded(self) -> list[str]:
        """Return the ids that were taken from the queue and not begun yet."""
        ids = cast(list[bytes], self._connection.lrange(self._queue.intermediate_queue_key, 0, -1))
        return [id.decode() for id in ids]

    def put_back(self, id: str) -> None:
        """Put an id that was never begun at the front of the queue again; twice there does no harm."""
        with self._connection.pipeline() as pipeline:
            pipeline.lrem(self._queue.intermediate_queue_key, 1, id)
            pipeline.lpush(self._queue.key, id)
            pipeline.execute()

    def _once(
        self,
        execution: Execution,
        may: Callable[[_Standing], bool],
        write: Callable[[Pipeline, _Standing], None],
    ) -> bool:
        """End an execution, and write if the detection stands so that it may; tell whether."""
        key = Job.key_for(execution.job_id)
        with self._connection.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(key)
                    found = _Standing(cast(dict[bytes, bytes], pipeline.hgetall(key)))
                    does = may(found)
                    pipeline.multi()
                    if does:
                        write(pipeline, found)
                    self._forget(execution, pipeline)
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return does

    def _end(self, pipeline: Pipeline, job: Job, status: RqStatus) -> None:
        fields: dict[Any, Any] = {
            "status": status.value,
            "ended_at": utcformat(now()),
            "meta": job.serializer.dumps(job.meta),
        }
        pipeline.hset(job.key, mapping=fields)
        if status is RqStatus.FAILED:
            pipeline.zadd(self._failed.key, {job.id: time.time() + (job.failure_ttl or 0)})
        count = "failed_job_count" if status is RqStatus.FAILED else "successful_job_count"
        pipeline.hincrby(f"rq:worker:{self._worker}", count, 1)
        leave(job.meta.get("share"), job.id, pipeline)
        let_go(job.meta.get("receiver"), job.id, pipeline)
        pipeline.delete(stage_key(job.id))
        pipeline.publish(channel_of(job.id), ENDED)

    def _tell_of_delivery(self, job: Job) -> None:
        if job.meta.get("receiver") is not None:
            self._on_delivery()
