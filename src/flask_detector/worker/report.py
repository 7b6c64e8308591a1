"""What a worker tells of its work: log lines, and the counts and durations that end up in /metrics."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from flask_detector.process.logs import facts, short
from flask_detector.service.metrics import (
    DETECTION_SECONDS,
    DETECTIONS,
    FAILURES,
    NO_MODEL,
    RETRIES,
    STAGE_SECONDS,
    WAITING_SECONDS,
    Tally,
)

log = logging.getLogger(__name__)

_SENDING_SECONDS = 1.0


@dataclass
class Notes:
    """What is noted of one detection until its outcome is written."""

    id: str
    model: str = NO_MODEL
    seconds: float | None = None


class Reporter:
    """Notes of the detections of one worker. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._next_sending = float("-inf")

    def begin(self, id: str, *, waited: float, is_retry: bool) -> Notes:
        """Note that a detection is taken up. waited: seconds in the queue."""
        self._tally.observe(WAITING_SECONDS, waited)
        if is_retry:
            self._tally.add(RETRIES)
        log.info(
            "detection %s started%s",
            short(id),
            " again" if is_retry else "",
            extra=facts(detection=short(id), waited=round(waited, 3), again=is_retry or None),
        )
        return Notes(id)

    def detected(self, notes: Notes, model: str, stages_ms: Mapping[str, float]) -> None:
        """Note how long each stage of a detection took, in milliseconds."""
        notes.model, notes.seconds = model, sum(stages_ms.values()) / 1000
        for stage, milliseconds in stages_ms.items():
            self._tally.observe(STAGE_SECONDS, milliseconds / 1000, model, stage)
        self._tally.observe(DETECTION_SECONDS, notes.seconds, model)

    def done(self, notes: Notes) -> None:
        """Note that a detection's result is written."""
        self._tally.add(DETECTIONS, notes.model, "done")
        seconds = None if notes.seconds is None else round(notes.seconds, 3)
        log.info(
            "detection %s is done",
            short(notes.id),
            extra=facts(detection=short(notes.id), model=notes.model, seconds=seconds),
        )

    def failed(self, notes: Notes, code: str) -> None:
        """Note that a detection has failed for good, and the code of its error."""
        self._tally.add(DETECTIONS, notes.model, "failed")
        self._tally.add(FAILURES, code)
        id = short(notes.id)
        log.warning("detection %s failed: %s", id, code, extra=facts(detection=id, code=code))

    def send_if_due(self, connection: redis.Redis) -> None:
        """Send what was noted, if that was not done lately."""
        if time.monotonic() >= self._next_sending:
            self.send(connection)

    def send(self, connection: redis.Redis) -> None:
        """Add what was noted to the sums of the installation; what can't be sent now goes with the next."""
        self._next_sending = time.monotonic() + _SENDING_SECONDS
        try:
            self._tally.send(connection)
        except redis.RedisError as error:
            log.warning("could not send counts: %s", type(error).__name__)
