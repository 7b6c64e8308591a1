"""The detections that workers of one queue have in hand: begun, finished, failed, given back.

No clock of a host plays a part: that a worker lives is told by a key of its execution, which Redis lets
expire.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis.client import Pipeline
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.results import Result
from rq.utils import now, utcformat

from flask_detector.jobs.keys import worker_key
from flask_detector.jobs.records import Failure
from flask_detector.jobs.rq_records import WORKERS_DIED
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import FAIL, FINISH, GIVE_BACK, RENEW, JobStatus, Move
from flask_detector.jobs.transitions import Transitions
from flask_detector.jobs.workers import WORKER_SILENCE

# RQ's registry of running detections holds times by the clocks of hosts, which need not agree; to it, ours
# never expire.
_NEVER = -1

# The id of an execution: which worker it is of, at random, and the how manieth of that worker.
_TOKEN_DIGITS = 20
_NUMBER_DIGITS = 12


@dataclass(frozen=True)
class Attempt:
    """One try at a detection, in a worker's hands."""

    job: Job
    execution: Execution


class Attempts:
    """What one worker begins, and what others of its queue have begun.

    Each method raises what Redis's client raises.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        worker: str,
        location: str,
        died: Failure = WORKERS_DIED,
        silence: int = WORKER_SILENCE,
    ) -> None:
        """worker: its name, "" for one that is not registered. location: of its process, as in `process_id`.

        died: why what was tried often enough fails.
        silence: after so many seconds without `renew` what it has begun may be given back.
        """
        self._queue = queue
        self._running = queue.started_job_registry
        self._connection = queue.connection
        self._transitions = Transitions(queue.connection)
        self._worker = worker
        self._location = location
        self._died = died
        self._silence = silence
        self._token = secrets.token_hex(_TOKEN_DIGITS // 2)
        self._begun = 0

    def take(self) -> Attempt | None:
        """Take the next detection from the queue and begin it; None if there is none now.

        It may be done again after an error: what was begun by then is returned.
        """
        execution = Execution(
            f"{self._token}{self._begun:0{_NUMBER_DIGITS}x}", "", self._connection, self._worker
        )
        moment = utcformat(execution.created_at)
        fields = {"worker_name": self._worker, "started_at": moment, "last_heartbeat": moment}
        own = {name: value for name, value in execution.serialize().items() if name != "job_id"}
        own["place"] = self._location
        found = self._transitions.begin(self._queue, execution, self._silence, fields, own)
        self._begun += 1
        if found is None:
            return None
        execution.job_id, facts = found
        job = self._job(execution.job_id)
        job.restore(facts)
        return Attempt(job, execution)

    def wait(self, seconds: int) -> bool:
        """Wait until something is in the queue; tell whether it is."""
        # To move it to where it is takes it from nobody.
        return self._connection.blmove(self._queue.key, self._queue.key, seconds, "LEFT", "LEFT") is not None

    def renew(self, execution: Execution) -> bool:
        """Tell that an execution goes on; False for one that has ended, of which nothing is left behind."""
        return self._transitions.make(
            RENEW,
            self._job(execution.job_id),
            lambda pipeline: self._tell_location(execution, pipeline),
            execution=execution,
        )

    def finish(self, attempt: Attempt, document: dict[str, Any]) -> bool:
        """Write a result; False if the detection was deleted, cancelled or finished elsewhere meanwhile."""
        job = attempt.job

        def write(pipeline: Pipeline) -> None:
            Result.create(
                job,
                Result.Type.SUCCESSFUL,
                job.result_ttl,
                return_value=document,
                worker_name=self._worker,
                pipeline=pipeline,
                execution_id=attempt.execution.id,
                execution_started_at=attempt.execution.created_at,
                execution_ended_at=now(),
            )
            self._count("successful_job_count", pipeline)
            self._queue.finished_job_registry.add(job, job.result_ttl or 0, pipeline)
            pipeline.lrem(self._queue.key, 1, job.id)  # it may have been given back

        return self._end(FINISH, attempt, write)

    def fail(self, attempt: Attempt, failure: Failure) -> bool:
        """Write why there is no result; False if that does not matter any more."""
        job = attempt.job
        job.meta["failure"] = asdict(failure)

        def write(pipeline: Pipeline) -> None:
            self._count("failed_job_count", pipeline)
            pipeline.zadd(self._queue.failed_job_registry.key, {job.id: time.time() + (job.failure_ttl or 0)})

        return self._end(FAIL, attempt, write)

    def give_back(self, execution: Execution, *, as_a_try: bool) -> JobStatus | None:
        """Put a detection at the front of the queue again, or let it fail when it was tried often enough.

        as_a_try: whether it may be the picture's fault that nothing came of it.

        Returns what it is now, QUEUED or FAILED; None if this execution held it no more.
        """
        attempt = Attempt(self._job(execution.job_id), execution)
        with suppress(NoSuchJobError):
            attempt.job.refresh()
        left = attempt.job.retries_left or 0
        if as_a_try and left == 0:
            return JobStatus.FAILED if self.fail(attempt, self._died) else None

        def write(pipeline: Pipeline) -> None:
            pipeline.hset(attempt.job.key, "retries_left", left - as_a_try)
            pipeline.lpush(self._queue.key, attempt.job.id)

        return JobStatus.QUEUED if self._end(GIVE_BACK, attempt, write) else None

    def put_last(self, attempt: Attempt) -> None:
        """Put what has more to do at the end of the queue, unless it was cancelled or deleted meanwhile."""
        job = attempt.job

        def write(pipeline: Pipeline) -> None:
            pipeline.rpush(self._queue.key, job.id)
            pipeline.expire(job.key, job.result_ttl or 0)

        self._end(GIVE_BACK, attempt, write)

    def running(self) -> list[Execution]:
        """Return those that were begun and have not ended."""
        entries = cast(list[bytes], self._connection.zrange(self._running.key, 0, -1))
        return [Execution.from_composite_key(entry.decode(), self._connection) for entry in entries]

    @staticmethod
    def in_hand(executions: list[Execution]) -> set[str]:
        """Return the ids of those executions whose pictures may be what their workers died of.

        That is each worker's newest one: of others only the outcome is still to be written.
        """
        newest = {execution[:_TOKEN_DIGITS]: execution for execution in sorted(one.id for one in executions)}
        return set(newest.values())

    def locations(self, executions: list[Execution]) -> list[str | None]:
        """Return where each is done; None where nothing was heard of it for too long."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for execution in executions:
                pipeline.hget(execution.key, "place")
            return [None if found is None else found.decode() for found in pipeline.execute()]

    def keep(self, location: str) -> bool:
        """Tell in the place of a process that lives that what it does goes on; whether it does anything."""
        running = self.running()
        its = [one for one, where in zip(running, self.locations(running), strict=True) if where == location]
        for execution in its:
            self._connection.expire(execution.key, self._silence)
        return bool(its)

    def put_back_taken(self) -> None:
        """Put what older versions took from the queue, and died before they began it, at its front again."""
        while self._connection.lmove(self._queue.intermediate_queue_key, self._queue.key, "RIGHT", "LEFT"):
            pass

    def _job(self, id: str) -> Job:
        job = Job(id, connection=self._connection, serializer=Serializer)
        job.origin = self._queue.name
        return job

    def _tell_location(self, execution: Execution, pipeline: Pipeline) -> None:
        pipeline.hset(execution.key, "place", self._location)
        pipeline.expire(execution.key, self._silence)

    def _count(self, field: str, pipeline: Pipeline) -> None:
        if self._worker:
            pipeline.hincrby(worker_key(self._worker), field, 1)

    def _end(self, move: Move, attempt: Attempt, write: Callable[[Pipeline], object]) -> bool:
        """Let go of a detection, and write what became of it if that is still open; tell whether."""
        job, execution = attempt.job, attempt.execution

        def forget(pipeline: Pipeline) -> None:
            pipeline.delete(execution.key)
            pipeline.zrem(self._running.key, execution.composite_key)

        def whole(pipeline: Pipeline) -> None:
            if move.target is not JobStatus.QUEUED:
                pipeline.hset(job.key, "meta", job.serializer.dumps(job.meta))
            write(pipeline)

        return self._transitions.make(move, job, whole, execution=execution, always=forget)
