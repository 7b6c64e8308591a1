"""The worker: takes pictures from the queue and detects, with the model loaded once.

RQ's SimpleWorker keeps the model in the process, but was not made for long jobs or sudden deaths. What this
one adds: heartbeats while it works; prompt maintenance that gives the pictures of dead workers back to the
queue (a bounded number of times); an end to detections that hang in native code; results that are written
once, and not at all when the user has deleted or cancelled the detection meanwhile.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any, Never

import redis
from rq import Queue, SimpleWorker, get_current_job
from rq.exceptions import AbandonedJobError
from rq.executions import Execution
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import StartedJobRegistry, clean_registries
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty
from rq.utils import now
from rq.worker_registration import clean_worker_registry

from flask_detector import images
from flask_detector.courier import Courier
from flask_detector.detectors import AUTO
from flask_detector.detectors.pool import DetectorPool
from flask_detector.errors import DetectionExpired, DetectionFailed, DetectorError
from flask_detector.jobs import TRIES, WORKER_SILENCE, Jobs
from flask_detector.journal import Journal
from flask_detector.logs import short
from flask_detector.memory import give_back_unused, resident_bytes
from flask_detector.pace import Pace
from flask_detector.records import Failure
from flask_detector.settings import Settings
from flask_detector.storage import ORIGINAL, Storage

log = logging.getLogger(__name__)

# All instances over this score are kept with the result, so that a user can look below the usual threshold
# without a new detection. 0.05 is the threshold of COCO's evaluation and of both origins of Mask R-CNN.
LOWEST_SCORE = 0.05

_HEARTBEAT_SECONDS = 2
_MAINTENANCE_SECONDS = 3
_SWEEP_SECONDS = 600

# RQ waits for a new job this many seconds less than the worker's lifetime before it looks after itself.
_WORKER_TTL = 15 + 2

# A detection that the alarm can't interrupt is in native code: this long after its time the process ends.
_HANG_GRACE_SECONDS = 10
_HUNG_EXIT_STATUS = 75


class TimeIsUp(BaseException):
    """The detection took longer than it may. Not an Exception, so that no handler on the way swallows it."""


class _Alarm(UnixSignalDeathPenalty):
    def handle_death_penalty(self, signum: int, frame: object) -> Never:
        raise TimeIsUp


class Workplace:
    """What a worker needs at hand for a job: its queue's records, the storage, loaded models."""

    def __init__(self, settings: Settings, connection: redis.Redis, storage: Storage) -> None:
        self.settings = settings
        self.jobs = Jobs(connection, settings)
        self.pace = Pace(connection)
        self.storage = storage
        self.detectors = DetectorPool(settings)
        self.journal = Journal()

    def run(
        self, id: str, *, model: str, min_score: float | None, classes: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Detect in the picture stored under an id; return the result's JSON form and the usual lowest score.

        classes: the labels that alone are kept.

        Raises DetectorError when that can't be done, and never will for this picture.
        """
        start = time.perf_counter()
        try:
            data = self.storage.get(id, ORIGINAL)
        except FileNotFoundError as error:
            raise DetectionExpired("The picture was deleted before its turn came.") from error
        limits = images.Limits(self.settings.max_upload_bytes, self.settings.max_pixels)
        self.jobs.set_stage(id, "decode")
        picture, _ = images.decode(data, limits)
        decoded = time.perf_counter()
        detector = self.detectors.get(model)
        lowest = LOWEST_SCORE if min_score is None else min_score
        found = detector.detect(
            picture, min_score=lowest, on_stage=lambda stage: self.jobs.set_stage(id, stage)
        )
        stages = {"decode": decoded - start, **found.timings}
        self.journal.detected(found.model, stages, time.perf_counter() - start)
        if classes is not None:
            found = found.without(set(found.labels).difference(classes))
        form: dict[str, Any] = found.to_json()
        form["timings_ms"] = {"decode": round((decoded - start) * 1000, 2), **form["timings_ms"]}
        form["shown_score"] = detector.default_min_score if min_score is None else min_score
        self.pace.tell(found.model, sum(form["timings_ms"].values()) / 1000)
        return form


_workplace: ContextVar[Workplace] = ContextVar("workplace")


def run_detection(**wishes: Any) -> dict[str, Any]:
    """Do the current job, as `Workplace.run` does: this is the function that the queue names."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("a detection can only run within a worker")
    form = _workplace.get().run(job.id, **wishes)
    shown = [one["label"] for one in form["instances"] if one["score"] >= form["shown_score"]]
    job.meta["counts"] = dict(Counter(shown).most_common())
    # A PNG may tell behind its pixels, which the web process does not read, that it lies on its side.
    job.meta["picture"].update(width=form["width"], height=form["height"])
    return form


class DetectionWorker(SimpleWorker):
    """A worker for one queue; RQ protects a job on its way to a worker only if that has a single queue."""

    death_penalty_class = _Alarm
    log_job_description = False
    log_result_lifespan = False

    def __init__(self, workplace: Workplace, connection: redis.Redis, *, name: str | None = None) -> None:
        super().__init__(
            [workplace.jobs.queue],
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL,
            maintenance_interval=_MAINTENANCE_SECONDS,
            job_monitoring_interval=_HEARTBEAT_SECONDS,
        )
        self._workplace = workplace
        self._last_sweep = float("-inf")
        self.push_exc_handler(self._note_abandoned)  # type: ignore[no-untyped-call]

    def register_birth(self) -> None:
        """Register the worker, with the model that it has loaded."""
        super().register_birth()  # type: ignore[no-untyped-call]
        self.tell_model()

    def tell_model(self) -> None:
        """Write which model is loaded, and the process's memory, beside RQ's own facts about the worker."""
        loaded = self._workplace.detectors.loaded or ""
        self.connection.hset(self.key, mapping={"model": loaded, "memory": resident_bytes()})

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return how long a job may be without a heartbeat before it counts as abandoned, in seconds."""
        return WORKER_SILENCE

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do a job in this process while another thread sends heartbeats."""
        execution = self.prepare_execution(job)
        self._begin_notes(job)
        done = threading.Event()
        heart = threading.Thread(
            target=self._beat, args=(job, execution, done), name="heartbeat", daemon=True
        )
        heart.start()
        try:
            self.perform_job(job, queue, execution)
        finally:
            done.set()
            heart.join()
        self.tell_model()
        self.set_state("idle")
        self._workplace.jobs.announce(job.id)
        self._workplace.journal.end(self.connection)

    def _begin_notes(self, job: Job) -> None:
        waited = (now() - job.enqueued_at).total_seconds() if job.enqueued_at is not None else 0.0
        self._workplace.journal.begin(
            job.id,
            request=job.meta.get("request"),
            waited=max(0.0, waited),
            is_retry=(job.retries_left or 0) < TRIES - 1,
        )

    def _note_abandoned(self, job: Job, kind: type[BaseException], *_: object) -> bool:
        """Note a detection whose worker died over it for the last time; RQ's maintenance calls this."""
        if kind is AbandonedJobError and not job.retries_left:
            self._workplace.journal.failed(job.id, DetectionFailed.code)
        return True

    def _beat(self, job: Job, execution: Execution, done: threading.Event) -> None:
        deadline = time.monotonic() + (job.timeout or 0) + _HANG_GRACE_SECONDS
        while not done.wait(_HEARTBEAT_SECONDS):
            if time.monotonic() > deadline:
                log.critical("detection %s hangs and can't be interrupted: this worker ends", short(job.id))
                os._exit(_HUNG_EXIT_STATUS)
            try:
                self.maintain_heartbeats(job, execution)
            except redis.RedisError:
                log.warning("no heartbeat could be sent: Redis can't be reached")

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Write down why a job failed; what will fail again in the same way is not tried again."""
        failure = self._explain(job, exc_info[1])
        if failure is not None and self._is_wanted(job):
            job.retries_left = 0
            job.meta["failure"] = asdict(failure)
            job.save_meta()
        super().handle_exception(job, *exc_info)

    def _explain(self, job: Job, error: BaseException | None) -> Failure | None:
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
        return None

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Write the result, unless the detection was deleted, cancelled or finished elsewhere meanwhile."""
        if self._is_wanted(job):
            job.save_meta()
            super().handle_job_success(job, queue, started_job_registry, execution)
            self._workplace.journal.done(job.id)
        else:
            self._drop(job, execution)

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """Write the failure or try again, unless nobody wants the detection any more."""
        if self._is_wanted(job):
            is_final = not job.retries_left
            super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
            if is_final:
                self._workplace.journal.failed(job.id, self._workplace.jobs.failure(job).code)
        else:
            self._drop(job, execution)

    def _is_wanted(self, job: Job) -> bool:
        return self.connection.hget(job.key, "status") == RqStatus.STARTED.value.encode()

    def _drop(self, job: Job, execution: Execution | None) -> None:
        with self.connection.pipeline() as pipeline:
            self.cleanup_execution(job, pipeline=pipeline, execution=execution)
            if self.connection.hget(job.key, "status") is None:
                pipeline.delete(job.key)  # RQ's last heartbeat made the deleted record anew
            pipeline.execute()

    def clean_registries(self) -> None:
        """Give the jobs of dead workers back to the queue, and forget what has expired."""
        for queue in self.queues:
            # RQ's own lock outlives a holder that dies by a quarter of an hour; this one by seconds.
            lock = f"flask-detector:maintenance:{queue.name}"
            if self.connection.set(lock, self.name, nx=True, ex=_MAINTENANCE_SECONDS - 1):
                clean_registries(queue, self._exc_handlers)
                clean_worker_registry(queue)
                self._rescue_stranded(queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ declares it as None
        if time.monotonic() - self._last_sweep > _SWEEP_SECONDS:
            self._last_sweep = time.monotonic()
            self._sweep()

    def run_maintenance_tasks(self) -> None:
        """Do RQ's maintenance and, so that the next picture need not wait for it, load a better model."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        give_back_unused()
        self._workplace.detectors.get(AUTO)
        self.tell_model()

    def _rescue_stranded(self, queue: Queue) -> None:
        """Give back the jobs of workers that died between taking them and registering them.

        RQ would wait for a minute and count it as one of the job's tries.
        """
        waiting = queue.intermediate_queue
        started = set(queue.started_job_registry.get_job_ids(cleanup=False))
        for id in waiting.get_job_ids():
            first_seen = waiting.get_first_seen(id)
            if id in started:
                continue
            if first_seen is None:
                waiting.set_first_seen(id)
            elif (now() - first_seen).total_seconds() > WORKER_SILENCE:
                with self.connection.pipeline() as pipeline:
                    pipeline.lrem(waiting.key, 1, id)
                    pipeline.delete(waiting.get_first_seen_key(id))
                    if self.connection.hget(Job.key_for(id), "status") == RqStatus.QUEUED.value.encode():
                        pipeline.lpush(queue.key, id)
                    pipeline.execute()

    def _sweep(self) -> None:
        """Delete the pictures whose records have expired."""
        try:
            for id in self._workplace.storage.older_than(self._workplace.settings.retention_seconds):
                if not self._workplace.jobs.exists(id):
                    self._workplace.storage.delete(id)
        except DetectorError as error:
            log.warning("expired pictures could not be deleted: %s", error)


@contextmanager
def at_work(workplace: Workplace) -> Iterator[None]:
    """Let jobs run within the block in that workplace."""
    token = _workplace.set(workplace)
    try:
        yield
    finally:
        _workplace.reset(token)


def main(settings: Settings, connection: redis.Redis, storage: Storage) -> None:
    """Load the model, then work until asked to stop (SIGTERM or SIGINT lets the current picture finish)."""
    workplace = Workplace(settings, connection, storage)
    workplace.detectors.get(AUTO)
    courier = Courier(settings, connection)
    courier.start()
    try:
        with at_work(workplace):
            DetectionWorker(workplace, connection).work(logging_level="WARNING")
    finally:
        courier.stop()
