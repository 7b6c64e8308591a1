"""The courier: sends webhooks, in a thread of the worker process.

A process of its own would cost forty megabytes for what is mostly waiting. It is a worker of RQ for the queue
of deliveries alone: that queue's pauses between tries, its jobs of dead couriers and its counting are RQ's.
Where there is nothing to deliver it asks one question of Redis now and then; the worker wakes it when a
detection ends whose end is to be told.
"""

import logging
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import redis
from rq import SimpleWorker, get_current_job
from rq.exceptions import StopRequested
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import DeferredJobRegistry
from rq.scheduler import RQScheduler
from rq.timeouts import BaseDeathPenalty

from flask_detector import guarded_http
from flask_detector.api_keys import Keys, key_id_of
from flask_detector.errors import DetectionError, DetectorError, UnknownKey
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import JobStatus
from flask_detector.jobs.schema import detection_form
from flask_detector.jobs.serializer import Serializer
from flask_detector.settings import Settings
from flask_detector.webhooks import signing
from flask_detector.webhooks.queue import SECONDS, Deliveries

log = logging.getLogger(__name__)

# What a receiver answers is not looked at.
_ANSWER_BYTES = 1 << 16

_LOOK_SECONDS = 2
_RQ_WAITS_LESS = 15  # seconds than the worker's lifetime, for a new job
_RESTART_SECONDS = 2.0
_LONGEST_RECONNECT_PAUSE = 2.0  # RQ's own grows to a minute, which webhooks would wait after Redis is back


class DeliveryFailed(Exception):
    """A delivery was not received; it is tried again after a pause."""


@dataclass(frozen=True)
class Satchel:
    """What a courier needs at hand."""

    settings: Settings
    jobs: Jobs
    keys: Keys


_satchel: ContextVar[Satchel] = ContextVar("satchel")


def deliver(*, detection: str, url: str, owner: str | None) -> None:
    """Send word of a detection's end: this is the function that the queue names.

    Raises DeliveryFailed where it was not received.
    """
    job, own = get_current_job(), _satchel.get()
    if job is None:
        raise RuntimeError("a delivery can only run within a courier")
    try:
        record = own.jobs.find(detection)
        if record.status not in {JobStatus.DONE, JobStatus.FAILED}:
            return
        is_done = record.status is JobStatus.DONE
        form = detection_form(record, own.jobs.result_form(detection) if is_done else None, record.masks)
        secret = own.keys.webhook_secret(key_id_of(owner))
    except (DetectionError, UnknownKey):  # deleted, or its key revoked: nobody is to be told any more
        return
    body = signing.body_of(signing.FINISHED if is_done else signing.FAILED, dict(form))
    rules = guarded_http.Rules(own.settings.allow_private_addresses, SECONDS, _ANSWER_BYTES)
    try:
        headers = signing.headers_of(job.id, body, secret)
        answer = guarded_http.send("POST", url, rules, headers=headers, body=body)
    except DetectorError as error:
        raise DeliveryFailed(error.message) from error
    if not 200 <= answer.status < 300:
        raise DeliveryFailed(f"The receiver answered {answer.status}.")


class _NoPenalty(BaseDeathPenalty):
    """Requests end by themselves in their time; signals would only reach the main thread."""

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class _CourierWorker(SimpleWorker):
    death_penalty_class = _NoPenalty
    log_job_description = False
    log_result_lifespan = False
    max_connection_wait_time = _LONGEST_RECONNECT_PAUSE

    def __init__(self, deliveries: Deliveries, connection: redis.Redis) -> None:
        super().__init__(
            [deliveries.queue],
            connection=connection,
            serializer=Serializer,
            worker_ttl=_RQ_WAITS_LESS + _LOOK_SECONDS,
            maintenance_interval=_LOOK_SECONDS,
        )
        self._deliveries = deliveries
        self._queue = deliveries.queue
        self._timetable = RQScheduler(
            [self._queue], connection=connection, serializer=Serializer, logging_level=logging.WARNING
        )

    def _install_signal_handlers(self) -> None:
        """Leave signals to the main thread."""

    def subscribe(self) -> None:
        """Listen to no commands: that would take another thread."""

    def run_maintenance_tasks(self) -> None:
        """Do RQ's maintenance, and what a scheduler process would do; end when asked to, or without work."""
        if self._stop_requested:
            raise StopRequested  # RQ looks only between jobs, unless a signal wakes it
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        if self._timetable.acquire_locks():
            self._timetable.enqueue_scheduled_jobs()
            self._settle_stranded()
        if not self._deliveries.has_work():
            raise StopRequested

    def teardown(self) -> None:
        """Leave the timetable to whoever looks next."""
        super().teardown()  # type: ignore[no-untyped-call]
        self._timetable.release_locks()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log in one line that a delivery was not received."""
        left = job.retries_left or 0
        log.warning("webhook %s was not received: %s %d more tries", job.id, exc_info[1], left)

    def _settle_stranded(self) -> None:
        """Let go the deliveries of detections that have ended, and drop those of cancelled or deleted ones.

        RQ lets them go when a detection ends well in the same step, but after a failure in a second one,
        which a worker that dies in between never takes.
        """
        waiting = DeferredJobRegistry(queue=self._queue)
        jobs = Job.fetch_many(waiting.get_job_ids(), connection=self.connection, serializer=Serializer)
        for job in filter(None, jobs):
            status = self.connection.hget(Job.key_for(str(job.kwargs["detection"])), "status")
            if status is None or status == RqStatus.CANCELED.value.encode():
                job.delete()
            elif status in {RqStatus.FINISHED.value.encode(), RqStatus.FAILED.value.encode()}:
                waiting.remove(job)
                self._queue._enqueue_job(job)


class Courier:
    """The thread that sends webhooks."""

    def __init__(self, settings: Settings, connection: redis.Redis) -> None:
        self._satchel = Satchel(settings, Jobs(connection, settings), Keys(connection))
        self._deliveries = Deliveries(connection, settings.retention_seconds)
        self._connection = connection
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._worker: _CourierWorker | None = None
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Send what there is to send until `stop`."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to send."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the delivery in hand, if there is one, and take no other."""
        self._stopping.set()
        self._woken.set()
        if self._worker is not None:
            self._worker._stop_requested = True
            if self._worker.executions:
                self.join()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join(2 * SECONDS)

    def _run(self) -> None:
        _satchel.set(self._satchel)
        while not self._stopping.is_set():
            try:
                if self._deliveries.has_work():
                    self._work()
            except redis.RedisError:
                log.warning("webhooks wait: Redis can't be reached")
                self._stopping.wait(_RESTART_SECONDS)
            self._woken.wait(_LOOK_SECONDS)
            self._woken.clear()

    def _work(self) -> None:
        self._worker = _CourierWorker(self._deliveries, self._connection)
        if not self._stopping.is_set():  # `stop` may not have seen this worker yet
            self._worker.work(logging_level="WARNING")
