"""What workers do beside detecting: give back what others left, and delete what is due or has expired."""

import logging
import time

from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.worker_registration import clean_worker_registry

from flask_detector.errors import DetectorError
from flask_detector.jobs.rq_records import WORKERS_DIED
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus
from flask_detector.process import logs
from flask_detector.process.logs import facts, short
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.left_behind import LeftBehind
from flask_detector.worker.report import Notes

log = logging.getLogger(__name__)

_TIDY_SECONDS = 60.0
_SWEEP_SECONDS = 600.0

# To delete thousands of pictures takes a while, in which others would wait: it goes on in the next round.
_DELETING_SECONDS = 1.0

# Storage that could not delete is asked again after this long.
_STORAGE_SECONDS = 10.0


class Maintenance:
    """One worker's share of it. All workers do it; that two do the same at once does no harm."""

    def __init__(self, context: WorkerContext, attempts: Attempts) -> None:
        self._settings = context.settings
        self._jobs = context.jobs
        self._storage = context.storage
        self._deletions = context.deletions
        self._reporter = context.reporter
        self._left = LeftBehind(attempts, on_given_back=self._given_back)
        self._next_tidying = float("-inf")
        self._next_sweep = float("-inf")
        self._next_deletions = float("-inf")

    def run(self) -> None:
        """Do what is due."""
        self._left.give_back()
        if time.monotonic() >= self._next_deletions:
            self._carry_out_deletions()
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + _TIDY_SECONDS
            self._tidy()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            self._sweep()

    def _given_back(self, id: str, became: JobStatus) -> None:
        self._log("detection %s was left by a worker that died", id)
        if became is JobStatus.FAILED:
            with logs.on_behalf_of(self._jobs.request_of(id)):
                self._reporter.failed(Notes(id), WORKERS_DIED.code)

    def _log(self, line: str, id: str, level: int = logging.WARNING) -> None:
        with logs.on_behalf_of(self._jobs.request_of(id)):
            log.log(level, line, short(id), extra=facts(detection=short(id)))

    def _tidy(self) -> None:
        """Take out of RQ's lists what has expired."""
        queue = self._jobs.queue
        for registry in (FinishedJobRegistry, FailedJobRegistry):
            registry(queue.name, queue.connection, serializer=Serializer).cleanup()
        clean_worker_registry(queue)

    def _carry_out_deletions(self) -> None:
        """Delete what nobody can undo any more."""
        try:
            self._deletions.carry_out(seconds=_DELETING_SECONDS)
        except DetectorError as error:
            self._next_deletions = time.monotonic() + _STORAGE_SECONDS
            log.warning("what is to be deleted could not be: %s", error)

    def _sweep(self) -> None:
        """Delete the pictures whose records have expired, and those that never got one.

        To list a bucket costs time and money: one worker does it for all.
        """
        connection = self._jobs.queue.connection
        if not connection.set("flask-detector:sweep", "", nx=True, ex=round(_SWEEP_SECONDS / 2)):
            return
        try:
            for id in self._storage.older_than(self._settings.retention_seconds):
                if not (self._jobs.exists(id) or self._deletions.hides(id)):
                    self._storage.delete(id)
                    self._log("the picture of detection %s is deleted: it has expired", id, logging.INFO)
        except DetectorError as error:
            log.warning("expired pictures could not be deleted: %s", error)
