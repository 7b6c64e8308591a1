"""When a detection is likely to be done: by what is queued before it, the workers, and the pace of models."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from flask_detector.jobs.inspect import Overview
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from flask_detector.web.core.available_models import AvailableModels

# Pages ask every two seconds, programs more often.
_REMEMBERED_SECONDS = 1.0

# Of what is queued, so many are looked at; those behind are taken to be like them.
_MOST = 200

_MINUTE, _HOUR = 60, 3600
_SECONDS_ARE_SAID_UP_TO = 90


@dataclass(frozen=True)
class _Line:
    """A queue as it stood a moment ago.

    workers: how many take pictures from it.
    in_hand: the seconds of work that is left of what they are detecting in.
    waiting: the seconds that each of the next pictures takes. Both are nan where a model's pace is not known.
    """

    workers: int
    in_hand: float
    waiting: list[float]

    def seconds_before(self, position: int) -> float:
        """Return how long it takes until the picture at a position of the queue is taken; may be nan."""
        known = self.waiting[:position]
        mean = sum(known) / len(known) if known else 0.0
        return (self.in_hand + sum(known) + (position - len(known)) * mean) / max(self.workers, 1)


class Forecast:
    """The forecasts of one installation; every method raises BrokerUnavailable.

    seconds_by_model: returns what a picture takes, by model.
    """

    def __init__(
        self,
        connection: redis.Redis,
        jobs: Jobs,
        available: AvailableModels,
        seconds_by_model: Callable[[], Mapping[str, float]],
        settings: Settings,
    ) -> None:
        self._jobs = jobs
        self._available = available
        self._seconds_by_model = seconds_by_model
        self._settings = settings
        self._overviews = {queue.name: Overview(connection, jobs, [queue]) for queue in jobs.queues}
        self._pace: Mapping[str, float] = {}
        self._lines: dict[str, _Line] = {}
        self._looked_at = float("-inf")

    def has_worker(self, record: Record) -> bool:
        """Return whether somebody takes pictures from the detection's queue."""
        return self._line(record.model).workers > 0

    def seconds(self, record: Record) -> float | None:
        """Return the seconds until a detection is likely to be done.

        None where that can't be said: it has ended, no worker is alive, nothing is known of a model that
        is before it or of its own, or it takes longer than it should.
        """
        line = self._line(record.model)
        if record.status.is_final or not line.workers:
            return None
        own = self._seconds_of(record.model)
        if record.status is JobStatus.RUNNING:
            left = own - (_since(record.started_at) if record.started_at else 0.0)
            return left if left >= 0 else None  # nan, too, is not at least 0
        seconds = own + line.seconds_before(record.position or 0)
        return None if math.isnan(seconds) else seconds

    def words(self, record: Record) -> str:
        """Return the sentence about it for a page; empty where there is nothing to say."""
        if record.status.is_final or not self.has_worker(record):
            return ""
        seconds, own = self.seconds(record), self._seconds_of(record.model)
        if record.status is JobStatus.RUNNING:
            if seconds is not None:
                return f"About {_said(seconds)} more."
            return "" if math.isnan(own) else f"It takes longer than usual, which is {_said(own)}."
        return "How long it takes is not known yet." if seconds is None else f"About {_said(seconds)}."

    def _seconds_of(self, model: str) -> float:
        return self._pace.get(self._available.resolve(model), math.nan)

    def _line(self, model: str) -> _Line:
        if time.monotonic() - self._looked_at > _REMEMBERED_SECONDS:
            self._pace = self._seconds_by_model()
            workers = [worker.queue for worker in self._jobs.workers()]
            self._lines = {
                name: _Line(
                    workers.count(name),
                    # One that is late is taken to be late by as much again.
                    sum(abs(self._seconds_of(one.model) - one.seconds) for one in overview.running(_MOST)),
                    [self._seconds_of(one.model) for one in overview.waiting(_MOST)],
                )
                for name, overview in self._overviews.items()
            }
            self._looked_at = time.monotonic()
        return self._lines[self._settings.queue_of(model)]


def place_in_line(record: Record) -> str:
    """Return what a page says of the pictures before one that is queued."""
    if not record.position:
        return "Yours is next."
    return f"{record.position} picture{' is' if record.position == 1 else 's are'} before yours."


def _since(moment: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _said(seconds: float) -> str:
    """Return a time as people say it: no finer than it is known."""
    if seconds < _SECONDS_ARE_SAID_UP_TO:
        fineness = 1 if seconds <= 10 else 5
        return f"{max(1, math.ceil(seconds / fineness) * fineness)} s"
    if seconds < _HOUR:
        return f"{math.ceil(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"
