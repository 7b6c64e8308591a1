"""The worker: takes pictures from the queue and detects, with the model loaded once.

RQ's SimpleWorker keeps the model in the process, but was not made for long jobs or sudden deaths. What makes
up for that lies in modules of its own: `attempts` (nothing happens twice), `heartbeat` (others see that
this one lives, and it ends when it hangs), `maintenance` (what dead workers left is given back). A thread
writes what became of a picture while the next one is at work.
"""

import gc
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.utils import now

from flask_detector.broker.connection import connect, persevere
from flask_detector.detectors import AUTO
from flask_detector.errors import BrokerUnavailable, DetectionFailed, DetectorError
from flask_detector.jobs.queue import DOUBT_TASK, MASK_TASK, Jobs
from flask_detector.jobs.records import Failure
from flask_detector.jobs.rq_records import out_of_time
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import TRIES
from flask_detector.process import readiness
from flask_detector.process.logs import facts, request_id, short
from flask_detector.settings import Settings
from flask_detector.storage.base import Storage
from flask_detector.structures.doubt import doubt
from flask_detector.worker.attempts import Attempt, Attempts
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.detect import detect, doubt_of_next, mask_of_box
from flask_detector.worker.heartbeat import INTERRUPT, Heartbeat, TimeIsUp
from flask_detector.worker.maintenance import Maintenance
from flask_detector.worker.process_id import of_this_process
from flask_detector.worker.report import Notes
from flask_detector.worker.teacher_pause import detecting, fifo_in
from flask_detector.worker.teaching import Teaching

log = logging.getLogger(__name__)

_MAINTENANCE_SECONDS = 2.5

# A command may block so long that a client which gives up after five seconds still gets its answer.
_WAIT_SECONDS = 2

# The interpreter's 5 ms would let the thread that writes a result hold up the detection that has begun.
_SWITCH_SECONDS = 0.0003

# What is no detection: of it nothing is noted.
_OTHER_TASKS: dict[str | None, Callable[..., dict[str, Any]]] = {
    MASK_TASK: mask_of_box,
    DOUBT_TASK: doubt_of_next,
}

_T = TypeVar("_T")


class DetectionWorker(SimpleWorker):
    """RQ's worker for one queue, with its own way of taking, doing and ending a job."""

    def __init__(self, context: WorkerContext) -> None:
        queue, settings = context.jobs.queue, context.settings
        super().__init__([queue], connection=queue.connection, serializer=Serializer)
        location = of_this_process()
        self._context = context
        self._attempts = Attempts(queue, worker=self.name, location=location)
        self._maintenance = Maintenance(context, self._attempts)
        self._fifo = fifo_in(settings.data_dir)
        self._teaching = Teaching(context.jobs, context.detectors.folder_id(), self._fifo)
        jobs = Jobs(connect(settings.required_redis_url), settings)
        self._heartbeat = Heartbeat(
            self,
            jobs,
            Attempts(jobs.queue, worker=self.name, location=location),
            lambda: context.detectors.loaded,
            context.detectors.available,
            context.detectors.folder_id(),
        )
        self._attempt: Attempt | None = None
        self._writer = ThreadPoolExecutor(1, "writer")
        self._writing: Future[None] | None = None
        self._next_maintenance = float("-inf")
        self._is_waiting = False
        self._is_detecting = False
        signal.signal(INTERRUPT, self._interrupt)

    def register_birth(self) -> None:
        """Register the worker, with the model that it has loaded, and begin to send heartbeats."""
        self.birth_date = self.last_heartbeat = now()
        self._heartbeat.model = self._context.detectors.loaded or ""
        # RQ does that after this; but whoever sees the worker may ask it to stop.
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # of RQ, without types
        self._persevere(self._heartbeat.register)
        self._persevere(self._attempts.put_back_taken)
        self._heartbeat.start()
        readiness.report()

    def teardown(self) -> None:
        """Leave nothing behind that another worker would have to find."""
        try:
            self._await_writing()
        except redis.RedisError as error:
            log.warning("what became of a detection can't be written: %s", type(error).__name__)
        self._heartbeat.stop()
        self._teaching.stop()
        self._context.reporter.send(self.connection)
        try:
            self.register_death()  # type: ignore[no-untyped-call]  # of RQ, without types
        except redis.RedisError:
            log.warning("Redis can't be told that this worker ends")

    def subscribe(self) -> None:
        """Listen to no commands: RQ's would need a thread and a connection for nothing that is used here."""

    def check_for_suspension(self, burst: bool) -> None:
        """Never be suspended: to pause, stop the workers; what comes meanwhile waits."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Send none: a thread does."""

    def request_stop(self, signum: int, frame: object) -> None:
        """Finish the picture in hand if that takes seconds, or give it back; a second signal: at once."""
        self._stop_requested = True
        self._heartbeat.hurry()
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
            self._maintenance.run()
            self._teaching.run()
        except (redis.RedisError, BrokerUnavailable) as error:
            log.warning("maintenance failed: %s", type(error).__name__)
        self._context.reporter.send(self.connection)
        if self._writing is not None and self._writing.done():
            self._await_writing()
        self._context.detectors.refresh()
        self._tell_model()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Return the next job, begun; None when asked to stop or, without a timeout, when there is none."""
        while not self._stop_requested:
            self._attempt = self._persevere(self._attempts.take)
            if self._attempt is not None:
                return self._attempt.job, self._context.jobs.queue
            if timeout is None:
                return None
            if not self._persevere(self._wait):
                self._context.detectors.measure()
            if self.should_run_maintenance_tasks:
                self.run_maintenance_tasks()
        return None

    def _wait(self) -> bool:
        """Wait for a picture; tell whether there is one, which another worker may take."""
        self._is_waiting = True
        try:
            return self._attempts.wait(_WAIT_SECONDS)
        finally:
            self._is_waiting = False

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do a job in this process; what became of it is written while the next one is at work."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            raise RuntimeError("a job is begun before it is done")
        self._heartbeat.begin(attempt)
        notes = None if job.func_name in _OTHER_TASKS else self._begin_notes(job)
        with detecting(self._fifo):
            outcome = self._perform(job, notes)
        self._heartbeat.detected()
        self._await_writing()
        self._writing = self._writer.submit(copy_context().run, self._write, attempt, outcome, notes)
        request_id.set(None)
        self._tell_model()
        self._context.detectors.rest_soon()
        if self._context.has_grown():
            log.warning("this worker exceeds its memory limit and exits to be restarted")
            self._stop_requested = True

    def _begin_notes(self, job: Job) -> Notes:
        request_id.set(job.meta.get("request"))
        waited = (now() - job.enqueued_at).total_seconds() if job.enqueued_at is not None else 0.0
        is_retry = (job.retries_left or 0) < TRIES - 1
        return self._context.reporter.begin(job.id, waited=max(0.0, waited), is_retry=is_retry)

    def _await_writing(self) -> None:
        """Return when the outcome of the detection before is written; raise what that has raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _perform(self, job: Job, notes: Notes | None) -> dict[str, Any] | Failure | None:
        """Return the result's form or why there is none; None where another try may help."""
        try:
            try:
                self._is_detecting = True
                return self._detect(job, notes)
            finally:
                self._is_detecting = False
        except (Exception, TimeIsUp) as error:
            return self._explain(job, error)

    def _interrupt(self, signum: int, frame: object) -> None:
        """End a detection whose time is up; the signal may come late, when it has ended."""
        if self._is_detecting:
            self._is_detecting = False
            raise TimeIsUp

    def _detect(self, job: Job, notes: Notes | None) -> dict[str, Any]:
        """Return the result; notes are taken of detections alone."""
        if notes is None:
            return _OTHER_TASKS[job.func_name](self._context, self._heartbeat.report_stage, **job.kwargs)
        document = detect(self._context, job.id, self._heartbeat.report_stage, **job.kwargs)
        self._context.reporter.detected(notes, document["model"], document["timings_ms"])
        self._context.detection_times.record(document["model"], sum(document["timings_ms"].values()) / 1000)
        shown = [one["label"] for one in document["instances"] if one["score"] >= document["shown_score"]]
        job.meta["counts"] = dict(Counter(shown).most_common())
        scores = (one["score"] for one in document["instances"])
        job.meta["doubt"] = doubt(scores, document["shown_score"])
        job.meta["used_model"] = document["model"]
        # A PNG may tell behind its pixels, which the web process does not read, that it lies on its side.
        job.meta["picture"].update(width=document["width"], height=document["height"])
        return document

    def _write(self, attempt: Attempt, outcome: dict[str, Any] | Failure | None, notes: Notes | None) -> None:
        """Write what became of a detection, in a thread of its own: the next one need not wait for that."""
        try:
            self._persevere(lambda: self._write_once(attempt, outcome, notes))
        finally:
            self._heartbeat.written(attempt)
        self._context.reporter.send_if_due(self.connection)

    def _write_once(
        self, attempt: Attempt, outcome: dict[str, Any] | Failure | None, notes: Notes | None
    ) -> None:
        if outcome is None:
            self._attempts.give_back(attempt.execution, as_a_try=True)
            return
        if isinstance(outcome, Failure):
            if self._attempts.fail(attempt, outcome) and notes is not None:
                self._context.reporter.failed(notes, outcome.code)
        elif outcome.get("left"):
            self._attempts.put_last(attempt)
        elif self._attempts.finish(attempt, outcome) and notes is not None:
            self._context.reporter.done(notes)
        if attempt.job.meta.get("receiver") is not None:
            self._context.courier.wake()

    def _explain(self, job: Job, error: BaseException) -> Failure | None:
        if isinstance(error, DetectorError):
            return Failure.of(error)
        if isinstance(error, TimeIsUp):
            return out_of_time(job.timeout, self._context.detectors.loaded)
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
        loaded = self._context.detectors.loaded or ""
        if loaded != self._heartbeat.model:
            self._context.limit_memory()
            self._heartbeat.model = loaded
            self._persevere(self._heartbeat.register)

    def _persevere(self, act: Callable[[], _T]) -> _T:
        return persevere(act, is_over=lambda: self._stop_requested)


def main(settings: Settings, connection: redis.Redis, storage: Storage) -> None:
    """Load the model, then work until asked to stop (SIGTERM or SIGINT lets the current picture finish)."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    context = WorkerContext.of(settings, connection, storage)
    context.detectors.get(AUTO)
    context.limit_memory()
    gc.freeze()  # what is loaded by now stays: it need not be looked through again and again
    context.courier.start()
    try:
        DetectionWorker(context).work(logging_level="WARNING")
    finally:
        context.courier.stop()
