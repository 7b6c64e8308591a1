"""The worker: takes pictures from the queue and detects, with the model loaded once.

RQ's SimpleWorker keeps the model in the process, but was not made for long jobs or sudden deaths. What makes
up for that lies in modules of its own: `transitions` (nothing happens twice), `heartbeat` (others see that
this one lives, and it ends when it hangs), `maintenance` (what dead workers left is given back). Beside the
detection two threads work: one writes what became of the picture before, the other one decodes the next
(`prefetch`).
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any, Never, TypeVar, cast

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.timeouts import UnixSignalDeathPenalty
from rq.utils import now

from flask_detector.broker.connection import connect, persevere
from flask_detector.detectors import AUTO
from flask_detector.errors import DetectionFailed, DetectorError
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import Failure
from flask_detector.jobs.rq_records import TRIES
from flask_detector.jobs.serializer import Serializer
from flask_detector.process import readiness
from flask_detector.process.logs import facts, request_id, short
from flask_detector.settings import Settings
from flask_detector.storage.base import Storage
from flask_detector.webhooks.sender import Courier
from flask_detector.worker.detect_task import Decoded, Workplace
from flask_detector.worker.heartbeat import Heart
from flask_detector.worker.maintenance import Upkeep
from flask_detector.worker.prefetch import Ahead, Next
from flask_detector.worker.process_id import of_this_process
from flask_detector.worker.report import Entry
from flask_detector.worker.transitions import Handover, Task

log = logging.getLogger(__name__)

_MAINTENANCE_SECONDS = 2.5

# A command may block so long that a client which gives up after five seconds still gets its answer.
_WAIT_SECONDS = 2

# Where a detection takes longer, it would gain nothing that the next picture is decoded already.
_QUICK_SECONDS = 0.25

# The interpreter's 5 ms would let the thread that writes a result hold up the detection that has begun.
_SWITCH_SECONDS = 0.0003

_T = TypeVar("_T")


class TimeIsUp(BaseException):
    """The detection took longer than it may. Not an Exception, so that no handler on the way swallows it."""


class _Alarm(UnixSignalDeathPenalty):
    def handle_death_penalty(self, signum: int, frame: object) -> Never:
        raise TimeIsUp


class DetectionWorker(SimpleWorker):
    """RQ's worker for one queue, with its own way of taking, doing and ending a job."""

    def __init__(self, workplace: Workplace, connection: redis.Redis, *, name: str | None = None) -> None:
        super().__init__([workplace.jobs.queue], name=name, connection=connection, serializer=Serializer)
        settings = workplace.settings
        place = of_this_process()
        self._workplace = workplace
        self._handover = Handover(
            workplace.jobs.queue, worker=self.name, place=place, on_delivery=workplace.on_delivery
        )
        self._upkeep = Upkeep(workplace, self._handover)
        jobs = Jobs(connect(settings.required_redis_url), settings)
        self._heart = Heart(self, jobs, place, workplace.detectors.available)
        self._ahead = Ahead(workplace, self._handover, on_begun=self._heart.hold)
        self._next: Next | None = None
        self._is_quick = False
        self._writer = ThreadPoolExecutor(1, "writer")
        self._writing: Future[None] | None = None
        self._next_maintenance = float("-inf")
        self._is_waiting = False
        workplace.on_stage = self._heart.tell_stage

    def register_birth(self) -> None:
        """Register the worker, with the model that it has loaded, and begin to send heartbeats."""
        self.birth_date = self.last_heartbeat = now()
        self._heart.model = self._workplace.detectors.loaded or ""
        self._persevere(self._heart.register)
        self._heart.start()
        readiness.tell()

    def teardown(self) -> None:
        """Leave nothing behind that another worker would have to find."""
        try:
            self._await_writing()
        except redis.RedisError as error:
            log.warning("what became of a detection can't be written: %s", type(error).__name__)
        self._heart.stop()
        self._workplace.journal.send(self.connection)
        try:
            if self._stop_requested:
                self._give_next_back()
                # The queue may have given an id just as the signal came.
                for id in self._handover.stranded():
                    self._handover.put_back(id)
            self.register_death()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            log.warning("Redis can't be told that this worker ends")

    def _give_next_back(self) -> None:
        following = self._ahead.take()
        if following is not None and following.task is not None:
            self._handover.give_back(following.task.execution, as_a_try=False)

    def subscribe(self) -> None:
        """Listen to no commands: RQ's would need a thread and a connection for nothing that is used here."""

    def check_for_suspension(self, burst: bool) -> None:
        """Never be suspended: to pause, stop the workers; what comes meanwhile waits."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Send none: the heart does."""

    def request_stop(self, signum: int, frame: object) -> None:
        """Finish the picture in hand if that takes seconds, or give it back; a second signal: at once."""
        self._stop_requested = True
        self._heart.hurry()
        if self._is_waiting:
            raise StopRequested

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Whether it is time to look after what others left."""
        return time.monotonic() >= self._next_maintenance

    def run_maintenance_tasks(self) -> None:
        """Look after what others left; load a better model, so that the next picture need not wait for it."""
        self._next_maintenance = time.monotonic() + _MAINTENANCE_SECONDS
        try:
            self._upkeep.run()
        except redis.RedisError as error:
            log.warning("maintenance failed: %s", type(error).__name__)
        self._workplace.journal.send(self.connection)
        if self._writing is not None and self._writing.done():
            self._await_writing()
        self._workplace.detectors.refresh()
        self._tell_model()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Return the next job, begun; None when asked to stop or, without a timeout, when there is none."""
        queue = self._workplace.jobs.queue
        while not self._stop_requested:
            self._next = self._ahead.take() or self._take(queue, is_patient=timeout is not None)
            if self._next is not None:
                task = self._next.task or self._persevere(partial(self._handover.begin, self._next.id))
                if task is not None:
                    self._next = replace(self._next, task=task)
                    return task.job, queue
            elif timeout is None:
                return None
            if self.should_run_maintenance_tasks:
                self.run_maintenance_tasks()
        return None

    def _take(self, queue: Queue, *, is_patient: bool) -> Next | None:
        id = self._persevere(lambda: self._move(queue, is_patient=is_patient))
        return None if id is None else Next(id)

    def _move(self, queue: Queue, *, is_patient: bool) -> str | None:
        if not is_patient:
            found = self.connection.lmove(queue.key, queue.intermediate_queue_key)
        else:
            self._is_waiting = True
            try:
                found = self.connection.blmove(queue.key, queue.intermediate_queue_key, _WAIT_SECONDS)
            finally:
                self._is_waiting = False
        return None if found is None else cast(bytes, found).decode()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do a job in this process; what became of it is written while the next one is at work."""
        task, decoded = self._begun()
        self._heart.begin(task)
        entry = self._begin_notes(job)
        start = time.monotonic()
        outcome = self._perform(task, decoded)
        self._is_quick = time.monotonic() - start < _QUICK_SECONDS
        self._heart.detected()
        self._await_writing()
        self._writing = self._writer.submit(copy_context().run, self._write, task, outcome, entry)
        request_id.set(None)
        self._tell_model()
        self._workplace.detectors.rest_soon()
        if self._workplace.has_grown():
            log.warning("this worker exceeds its memory limit and exits to be restarted")
            self._stop_requested = True

    def _begun(self) -> tuple[Task, Future[Decoded] | None]:
        following, self._next = self._next, None
        if following is None or following.task is None:
            raise RuntimeError("a job is begun before it is done")
        return following.task, following.decoded

    def _look_ahead(self, task: Task, model: str, enough: int | None) -> None:
        if self._is_quick and not _was_tried(task.job) and not self._stop_requested:
            self._ahead.look(model, enough)

    def _begin_notes(self, job: Job) -> Entry:
        request_id.set(job.meta.get("request"))
        waited = (now() - job.enqueued_at).total_seconds() if job.enqueued_at is not None else 0.0
        return self._workplace.journal.begin(job.id, waited=max(0.0, waited), is_retry=_was_tried(job))

    def _await_writing(self) -> None:
        """Return when the outcome of the detection before is written; raise what that has raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _perform(self, task: Task, decoded: Future[Decoded] | None) -> dict[str, Any] | Failure | None:
        """Return the result's form or why there is none; None where another try may help."""
        self._workplace.ahead = decoded
        self._workplace.on_decoded = partial(self._look_ahead, task)
        try:
            seconds = task.job.timeout or self._workplace.settings.job_timeout
            with _Alarm(seconds, TimeIsUp):  # type: ignore[no-untyped-call]
                return self._detect(task.job)
        except (Exception, TimeIsUp) as error:
            if isinstance(error, TimeIsUp) and decoded is not None and not decoded.done():
                id = short(task.job.id)
                log.critical(
                    "decoding of detection %s hangs: this worker exits", id, extra=facts(detection=id)
                )
                self._stop_requested = True
            return self._explain(task.job, error)

    def _detect(self, job: Job) -> dict[str, Any]:
        """Return the result; the queue has one kind of job, so the function's name is not looked up."""
        form = self._workplace.run(job.id, **job.kwargs)
        shown = [one["label"] for one in form["instances"] if one["score"] >= form["shown_score"]]
        job.meta["counts"] = dict(Counter(shown).most_common())
        # A PNG may tell behind its pixels, which the web process does not read, that it lies on its side.
        job.meta["picture"].update(width=form["width"], height=form["height"])
        return form

    def _write(self, task: Task, outcome: dict[str, Any] | Failure | None, entry: Entry) -> None:
        """Write what became of a detection, in a thread of its own: the next one need not wait for that."""
        try:
            self._persevere(lambda: self._write_once(task, outcome, entry))
        finally:
            self._heart.leave(task)
        self._workplace.journal.send_if_due(self.connection)

    def _write_once(self, task: Task, outcome: dict[str, Any] | Failure | None, entry: Entry) -> None:
        if outcome is None:
            self._handover.give_back(task.execution, as_a_try=True)
        elif isinstance(outcome, Failure):
            if self._handover.fail(task, outcome):
                self._workplace.journal.failed(entry, outcome.code)
        elif self._handover.finish(task, outcome):
            self._workplace.journal.done(entry)

    def _explain(self, job: Job, error: BaseException) -> Failure | None:
        if isinstance(error, DetectorError):
            return Failure.of(error)
        if isinstance(error, TimeIsUp):
            return Failure(
                DetectionFailed.code,
                f"The detection was stopped because it took longer than {job.timeout} seconds.",
                "Send a smaller picture, or raise DETECTOR_JOB_TIMEOUT.",
            )
        if isinstance(error, MemoryError):
            return Failure(
                DetectionFailed.code,
                "The picture needs more memory than the worker may use.",
                "Send a smaller picture.",
            )
        id = short(job.id)
        log.error("detection %s: unexpected error", id, exc_info=error, extra=facts(detection=id))
        if job.retries_left:
            return None
        return Failure(
            DetectionFailed.code,
            f"The worker failed each of the {TRIES} times it tried this picture.",
            "Send another picture; see the worker's log.",
        )

    def _tell_model(self) -> None:
        loaded = self._workplace.detectors.loaded or ""
        if loaded != self._heart.model:
            self._workplace.limit_memory()
            self._heart.model = loaded
            self._persevere(self._heart.register)

    def _persevere(self, act: Callable[[], _T]) -> _T:
        return persevere(act, is_over=lambda: self._stop_requested)


def _was_tried(job: Job) -> bool:
    return (job.retries_left or 0) < TRIES - 1


def main(settings: Settings, connection: redis.Redis, storage: Storage) -> None:
    """Load the model, then work until asked to stop (SIGTERM or SIGINT lets the current picture finish)."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    workplace = Workplace(settings, connection, storage)
    workplace.detectors.get(AUTO)
    workplace.limit_memory()
    courier = Courier(settings, connection)
    workplace.on_delivery = courier.wake
    courier.start()
    try:
        DetectionWorker(workplace, connection).work(logging_level="WARNING")
    finally:
        courier.stop()
