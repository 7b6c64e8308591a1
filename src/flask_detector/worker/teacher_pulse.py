"""What others see of a run of teaching: that it goes on, and how far it is."""

import logging
import os
import signal
import threading
from typing import Final

from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from flask_detector.broker.connection import connect
from flask_detector.jobs.lessons import Lessons
from flask_detector.settings import Settings
from flask_detector.worker.attempts import Attempt, Attempts
from flask_detector.worker.process_id import of_this_process

log = logging.getLogger(__name__)

LOST: Final = signal.SIGUSR1
"""Tells the process that its run was cancelled, deleted, or given to another one."""

SILENCE: Final = 30
"""It keeps run and turn for so many seconds without a beat: while others want all of the processor."""

_BEAT_SECONDS = 1.0

# Of the curve of the loss.
_POINTS = 200


class Pulse(threading.Thread):
    """Listens to a run, and tells Redis of it from a thread and a connection of its own."""

    def __init__(self, settings: Settings, attempt: Attempt, turn: Lock) -> None:
        super().__init__(name="pulse", daemon=True)
        self._lessons = Lessons(connect(settings.required_redis_url))
        self._attempts = attempts_of(self._lessons)
        self._attempt, self._turn = attempt, turn
        self._stopped = threading.Event()
        self._progress = self._lessons.find(attempt.job.id).progress
        self._progress.said = []

    def run(self) -> None:
        """Beat until stopped."""
        while not self._stopped.wait(_BEAT_SECONDS):
            try:
                if not (self._attempts.renew(self._attempt.execution) and has_turn(self._turn)):
                    os.kill(os.getpid(), LOST)
                    return
                self._lessons.report(self._attempt.job.id, self._progress)
            except Exception as error:  # a run without a pulse would be given to another
                log.warning("could not tell of a run of teaching: %s", type(error).__name__)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join(5)

    def say(self, text: str) -> None:
        """Keep a whole sentence."""
        self._progress.said = [*self._progress.said, text]

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        """Keep how far it is, and some of the losses."""
        now = self._progress
        now.what = what
        if loss is not None:
            now.part, now.seconds_left = part, seconds_left
            last = now.losses[-1][0] if now.losses else -1.0
            if part < last:  # a checkpoint that lies further back
                now.losses = [one for one in now.losses if one[0] < part]
                now.proven = [one for one in now.proven if one[0] < part]
            if part - last >= 1 / _POINTS or part < last:
                now.losses = [*now.losses, (round(part, 4), round(loss, 4))]

    def proven(self, part: float, loss: float, ap50: float, ap: float) -> None:
        """Keep what the unfinished model reaches."""
        self._progress.proven = [*self._progress.proven, (round(part, 4), round(ap50, 4), round(ap, 4))]


def has_turn(turn: Lock) -> bool:
    """Keep the turn, or take it again where it has run out and is nobody else's; tell whether it is had."""
    try:
        return bool(turn.reacquire())
    except LockNotOwnedError:
        return bool(turn.acquire(blocking=False))


def attempts_of(lessons: Lessons) -> Attempts:
    """Return what this process begins, and what others have begun."""
    return Attempts(lessons.queue, worker="", location=of_this_process(), silence=SILENCE)
