"""A worker's heartbeat: a thread that tells that it lives and what it does, and ends it when it hangs."""

import faulthandler
import json
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from rq.utils import now, utcformat
from rq.worker import BaseWorker
from rq.worker_registration import register

from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.rq_records import out_of_time
from flask_detector.jobs.workers import WORKER_SILENCE
from flask_detector.process.extras import missing_for_teaching
from flask_detector.process.logs import facts, on_behalf_of, short
from flask_detector.process.memory import resident_bytes
from flask_detector.worker.attempts import Attempt, Attempts

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_BEAT_SECONDS = 2.0

# Sent to the main thread when the time of a detection is up. Not by an alarm: the system may give that to any
# thread of the process, and a main thread that waits would then go on to wait.
INTERRUPT = signal.SIGALRM

# A detection that can't be interrupted is in native code: this long after its time the process ends.
_HANG_GRACE_SECONDS = 10.0
HUNG_EXIT_STATUS = 75

# Native code may hold the interpreter's lock, so that not even this thread runs; another one, of the
# interpreter's own, ends the process then.
_STILL_SECONDS = 45.0

# The picture in hand may take so long after SIGTERM before it is given back. Docker kills after 10 seconds,
# Heroku and Kubernetes after 30.
_GIVE_BACK_SECONDS = 7.0


class TimeIsUp(BaseException):
    """The detection took longer than it may. Not an Exception, so that no handler on the way swallows it."""


class Heartbeat(threading.Thread):
    """Beats from `start` to `stop`, on a connection of its own that does not wait long."""

    def __init__(
        self,
        worker: BaseWorker,
        jobs: Jobs,
        attempts: Attempts,
        loaded: Callable[[], str | None],
        models: Callable[[], Mapping[str, float | None]],
        models_folder: str,
    ) -> None:
        """jobs, attempts: on its own connection. loaded: returns the name of the model in memory.

        models: returns the seconds a picture takes by model.
        """
        super().__init__(name="heartbeat", daemon=True)
        self._worker = worker
        self._jobs = jobs
        self._attempts = attempts
        self._loaded = loaded
        self._models = models
        self._models_folder = models_folder
        self._teaches = "" if missing_for_teaching() else "1"
        self._stopped = threading.Event()
        self._changing = threading.Lock()
        self._attempt: Attempt | None = None
        self._being_written: list[Attempt] = []
        self._deadline = 0.0
        self._stage: str | None = None
        self._told: str | None = None
        self._give_back_at: float | None = None
        self._next_beat = 0.0
        self._is_registered = False
        self.model = ""

    def begin(self, attempt: Attempt) -> None:
        """Beat for a detection, too, and see that it does not hang."""
        with self._changing:
            self._attempt, self._stage, self._told = attempt, None, None
            self._deadline = time.monotonic() + (attempt.job.timeout or math.inf)

    def detected(self) -> None:
        """Beat on for the detection, whose outcome is still to be written, which may take its time."""
        with self._changing:
            if self._attempt is not None:
                self._being_written.append(self._attempt)
            self._attempt = None

    def written(self, attempt: Attempt) -> None:
        """Beat no longer for a detection whose outcome was to be written."""
        with self._changing:
            self._being_written.remove(attempt)

    def report_stage(self, stage: str) -> None:
        """Report what the detector does, unless it soon does something else or is done."""
        self._stage = stage

    def hurry(self) -> None:
        """Let the picture in hand take a few seconds more, and give it back then; asked again, at once."""
        patience = _GIVE_BACK_SECONDS if self._give_back_at is None else 0.0
        self._give_back_at = time.monotonic() + patience

    def start(self) -> None:
        """Begin to beat; what hangs before the first beat is ended too."""
        _end_if_still()
        super().start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self.is_alive():
            self.join(5)

    def run(self) -> None:
        """Beat until stopped."""
        attempt: Attempt | None = None
        while not self._stopped.wait(_TICK_SECONDS):
            _end_if_still()
            with self._changing:
                before, attempt = attempt, self._attempt
                self._watch()
            try:
                # Of a detection that takes no longer than a tick nobody has time to read what it does.
                if attempt is not None and attempt is before and self._stage != self._told:
                    self._told = self._stage
                    self._jobs.set_stage(attempt.job.id, self._told or "")
                if time.monotonic() >= self._next_beat:
                    self._next_beat = time.monotonic() + _BEAT_SECONDS
                    self._beat()
            except Exception as error:  # a worker without a pulse would lose its picture
                self._is_registered = False
                log.warning("could not send a heartbeat: %s", type(error).__name__)
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        if self._attempt is not None and time.monotonic() > self._deadline:
            signal.pthread_kill(threading.main_thread().ident or 0, INTERRUPT)  # it has one: it runs
        if self._attempt is not None and time.monotonic() > self._deadline + _HANG_GRACE_SECONDS:
            id = short(self._attempt.job.id)
            with on_behalf_of(self._attempt.job.meta.get("request")):
                log.critical(
                    "detection %s hangs and can't be interrupted: this worker exits",
                    id,
                    extra=facts(detection=id),
                )
            # Tried often enough, it fails here, where it is known why.
            if not self._attempt.job.retries_left:
                with suppress(Exception):
                    failure = out_of_time(self._attempt.job.timeout, self._loaded())
                    self._attempts.fail(self._attempt, failure)
            os._exit(HUNG_EXIT_STATUS)
        if self._in_hand and self._give_back_at is not None and time.monotonic() > self._give_back_at:
            self._give_all_back()

    def _give_all_back(self) -> None:
        try:
            for attempt in self._in_hand:
                id = short(attempt.job.id)
                with on_behalf_of(attempt.job.meta.get("request")):
                    log.warning(
                        "detection %s returned to the queue: this worker has to exit",
                        id,
                        extra=facts(detection=id),
                    )
                self._attempts.give_back(attempt.execution, as_a_try=False)
            self._worker.register_death()
        finally:
            os._exit(0)

    @property
    def _in_hand(self) -> list[Attempt]:
        at_work = self._attempt  # looked at first: at any moment it may become one that is written
        return [*self._being_written] if at_work is None else [at_work, *self._being_written]

    def _beat(self) -> None:
        with self._jobs.queue.connection.pipeline(transaction=False) as pipeline:
            pipeline.hset(self._worker.key, mapping=self._facts())
            pipeline.expire(self._worker.key, WORKER_SILENCE)
            new_fields = pipeline.execute()[0]
        for attempt in self._in_hand:
            self._attempts.renew(attempt.execution)
        # After a failure it is not known what arrived: what a dead link held back may still come, and make
        # the worker's key anew without its model.
        if new_fields or not self._is_registered:
            self.register()

    def _facts(self) -> dict[Any, Any]:
        models = self._models()
        return {
            "last_heartbeat": utcformat(now()),
            "state": "busy" if self._in_hand else "idle",
            "memory": resident_bytes(),
            "models": " ".join(models),
            "models_folder": self._models_folder,
            "teaches": self._teaches,
            "seconds": json.dumps({name: seconds for name, seconds in models.items() if seconds}),
        }

    def register(self) -> None:
        """Write the worker into Redis's lists, also after Redis forgot it."""
        with self._jobs.queue.connection.pipeline() as pipeline:
            facts = {**self._worker.serialize(), **self._facts(), "model": self.model}
            pipeline.hset(self._worker.key, mapping=facts)
            pipeline.expire(self._worker.key, WORKER_SILENCE)
            register(self._worker, pipeline)
            pipeline.execute()
        self._is_registered = True


def _end_if_still() -> None:
    """End the process if this is not called again in time."""
    faulthandler.dump_traceback_later(_STILL_SECONDS, exit=True, file=sys.__stderr__ or sys.stderr)
