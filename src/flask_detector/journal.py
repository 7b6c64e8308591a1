"""What a worker tells of its work: log lines, and the counts and durations that end up in /metrics."""

import logging
import time
from collections.abc import Mapping

import redis

from flask_detector.logs import facts, request_id, short
from flask_detector.measures import (
    DETECTION_SECONDS,
    DETECTIONS,
    FAILURES,
    RETRIES,
    STAGE_SECONDS,
    WAITING_SECONDS,
    Tally,
)

log = logging.getLogger(__name__)

_SENDING_SECONDS = 1.0

# In place of a model's name where a detection did not come as far as to one.
_NO_MODEL = "(none)"


class Journal:
    """Notes of the detections of one worker."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._model = _NO_MODEL
        self._seconds: float | None = None
        self._next_sending = float("-inf")

    def begin(self, id: str, *, request: str | None, waited: float, is_retry: bool) -> None:
        """Note that a detection is taken up, and which request asked for it. waited: seconds in the queue."""
        request_id.set(request)
        self._model, self._seconds = _NO_MODEL, None
        self._tally.observe(WAITING_SECONDS, waited)
        if is_retry:
            self._tally.add(RETRIES)
        log.info(
            "detection %s begins%s",
            short(id),
            " again" if is_retry else "",
            extra=facts(detection=short(id), waited=round(waited, 3), again=is_retry or None),
        )

    def detected(self, model: str, stages: Mapping[str, float], seconds: float) -> None:
        """Note how long the stages of a detection took, and all of it, in seconds."""
        self._model, self._seconds = model, seconds
        for stage, stage_seconds in stages.items():
            self._tally.observe(STAGE_SECONDS, stage_seconds, model, stage)
        self._tally.observe(DETECTION_SECONDS, seconds, model)

    def done(self, id: str) -> None:
        """Note that a detection's result is written."""
        self._tally.add(DETECTIONS, self._model, "done")
        seconds = None if self._seconds is None else round(self._seconds, 3)
        log.info(
            "detection %s is done",
            short(id),
            extra=facts(detection=short(id), model=self._model, seconds=seconds),
        )

    def failed(self, id: str, code: str) -> None:
        """Note that a detection has failed for good, and the code of its error."""
        self._tally.add(DETECTIONS, self._model, "failed")
        self._tally.add(FAILURES, code)
        log.warning("detection %s failed: %s", short(id), code, extra=facts(detection=short(id), code=code))

    def end(self, connection: redis.Redis) -> None:
        """Note that the work on a detection is over; send what was noted if that was not done lately."""
        request_id.set(None)
        if time.monotonic() >= self._next_sending:
            self.send(connection)

    def send(self, connection: redis.Redis) -> None:
        """Add what was noted to the sums of the installation; what can't be sent now goes with the next."""
        self._next_sending = time.monotonic() + _SENDING_SECONDS
        try:
            self._tally.send(connection)
        except redis.RedisError as error:
            log.warning("counts could not be sent: %s", type(error).__name__)
