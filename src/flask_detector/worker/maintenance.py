"""What workers do beside detecting: give back what others left, and forget what has expired."""

import logging
import time

from rq.executions import Execution
from rq.job import JobStatus as RqStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.worker_registration import clean_worker_registry

from flask_detector.errors import DetectorError
from flask_detector.jobs.rq_records import WORKERS_DIED
from flask_detector.jobs.serializer import Serializer
from flask_detector.process import logs
from flask_detector.process.logs import facts, short
from flask_detector.worker.detect_task import Workplace
from flask_detector.worker.process_id import is_deserted
from flask_detector.worker.report import Entry
from flask_detector.worker.transitions import Handover

log = logging.getLogger(__name__)

# To begin a detection that was taken from the queue takes milliseconds; after this long it was left there.
_STRANDED_SECONDS = 5.0

_TIDY_SECONDS = 60.0
_SWEEP_SECONDS = 600.0


class Upkeep:
    """One worker's share of it. All workers do it; that two do the same at once does no harm."""

    def __init__(self, workplace: Workplace, handover: Handover) -> None:
        self._settings = workplace.settings
        self._jobs = workplace.jobs
        self._storage = workplace.storage
        self._journal = workplace.journal
        self._handover = handover
        self._silent: set[str] = set()
        self._stranded_since: dict[str, float] = {}
        self._next_tidying = float("-inf")
        self._next_sweep = float("-inf")

    def run(self) -> None:
        """Do what is due."""
        self._give_back_abandoned()
        self._put_back_stranded()
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + _TIDY_SECONDS
            self._tidy()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            self._sweep()

    def _give_back_abandoned(self) -> None:
        """Give back the detections of dead workers.

        Where nothing was heard of one it must be so twice: after an outage of Redis, or a jump of its clock,
        the living need a moment to say that they live.
        """
        running = self._handover.executions()
        in_hand = self._handover.in_hand(running)
        silent: set[str] = set()
        for execution, place in zip(running, self._handover.places(running), strict=True):
            if place is None:
                silent.add(execution.id)
            if execution.id in silent & self._silent or (place is not None and is_deserted(place)):
                self._give_back(execution, as_a_try=execution.id in in_hand)
        self._silent = silent

    def _give_back(self, execution: Execution, *, as_a_try: bool) -> None:
        became = self._handover.give_back(execution, as_a_try=as_a_try)
        if became is None:
            return
        id = execution.job_id
        with logs.on_behalf_of(self._jobs.request_of(id)):
            log.warning(
                "detection %s was left by a worker that died", short(id), extra=facts(detection=short(id))
            )
            if became is RqStatus.FAILED:
                self._journal.failed(Entry(id), WORKERS_DIED.code)

    def _put_back_stranded(self) -> None:
        """Put back what workers took from the queue and did not begin before they died."""
        now = time.monotonic()
        waiting = self._handover.stranded()
        self._stranded_since = {id: self._stranded_since.get(id, now) for id in waiting}
        for id, since in self._stranded_since.items():
            if now - since > _STRANDED_SECONDS:
                self._handover.put_back(id)
                with logs.on_behalf_of(self._jobs.request_of(id)):
                    log.warning(
                        "detection %s was taken but not started; returned to the queue",
                        short(id),
                        extra=facts(detection=short(id)),
                    )

    def _tidy(self) -> None:
        """Take out of RQ's lists what has expired."""
        queue = self._jobs.queue
        for registry in (FinishedJobRegistry, FailedJobRegistry):
            registry(queue.name, queue.connection, serializer=Serializer).cleanup()
        clean_worker_registry(queue)

    def _sweep(self) -> None:
        """Delete the pictures whose records have expired, and those that never got one.

        To list a bucket costs time and money: one worker does it for all.
        """
        connection = self._jobs.queue.connection
        if not connection.set("flask-detector:sweep", "", nx=True, ex=round(_SWEEP_SECONDS / 2)):
            return
        try:
            for id in self._storage.older_than(self._settings.retention_seconds):
                if not self._jobs.exists(id):
                    self._storage.delete(id)
                    with logs.on_behalf_of(self._jobs.request_of(id)):
                        log.info(
                            "the picture of detection %s is deleted: it has expired",
                            short(id),
                            extra=facts(detection=short(id)),
                        )
        except DetectorError as error:
            log.warning("expired pictures could not be deleted: %s", error)
