"""Counters and durations of all processes of an installation, summed in Redis.

A process collects in memory and adds to Redis periodically, in one pipeline: web processes and workers may be
on different hosts, any web process can report the totals, and they survive restarts.
"""

import json
import threading
from bisect import bisect_left
from collections import Counter as Sums
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import redis

_KEY = "flask-detector:measures"

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)
_LONG = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True)
class Measure:
    """A counter, to whose name Prometheus adds `_total`; or a histogram of durations in seconds.

    bounds: upper ends of the buckets that durations fall into; none of a counter.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


REQUESTS = Measure("detector_http_requests", "HTTP requests.", ("method", "route", "status"))
REQUEST_SECONDS = Measure(
    "detector_http_request_seconds", "Time until the response starts.", ("method", "route"), _FAST
)
DETECTIONS = Measure("detector_detections", "Ended detections.", ("model", "outcome"))
OUTCOMES = ("done", "failed")
NO_MODEL = "(none)"
"""In place of a model's name where a detection did not come as far as to one."""
FAILURES = Measure("detector_failures", "Failed detections by error code.", ("code",))
RETRIES = Measure("detector_retries", "Pictures taken again after an attempt that did not finish.", ())
WAITING_SECONDS = Measure("detector_waiting_seconds", "Time that pictures waited for a worker.", (), _LONG)
DETECTION_SECONDS = Measure("detector_detection_seconds", "Duration of detections.", ("model",), _SLOW)
STAGE_SECONDS = Measure(
    "detector_stage_seconds", "Duration of the stages of detections.", ("model", "stage"), _SLOW
)

MEASURES: tuple[Measure, ...] = (
    REQUESTS,
    REQUEST_SECONDS,
    DETECTIONS,
    FAILURES,
    RETRIES,
    WAITING_SECONDS,
    DETECTION_SECONDS,
    STAGE_SECONDS,
)

# A field of the hash in Redis: the measure, its labels, and for a histogram the bucket or "sum".
_Field = tuple[str, ...]
_SUM = "sum"


class Tally:
    """What a process has counted and not yet added to Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Sums[_Field] = Sums()
        self._seconds: dict[_Field, float] = {}

    def add(self, counter: Measure, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._counts[counter.name, *labels] += 1

    def observe(self, histogram: Measure, seconds: float, *labels: str) -> None:
        """Count a duration."""
        bucket = bisect_left(histogram.bounds, seconds)
        with self._lock:
            self._counts[histogram.name, *labels, str(bucket)] += 1
            field = (histogram.name, *labels, _SUM)
            self._seconds[field] = self._seconds.get(field, 0.0) + seconds

    def send(self, connection: redis.Redis) -> None:
        """Add everything to Redis at once; what can't be sent is kept for the next time.

        Raises redis.RedisError.
        """
        with self._lock:
            counts, self._counts = self._counts, Sums()
            seconds, self._seconds = self._seconds, {}
        if not counts:
            return
        try:
            with connection.pipeline() as pipeline:
                for field, number in counts.items():
                    pipeline.hincrby(_KEY, json.dumps(field), number)
                for field, amount in seconds.items():
                    pipeline.hincrbyfloat(_KEY, json.dumps(field), amount)
                pipeline.execute()
        except redis.RedisError:
            with self._lock:
                self._counts += counts
                for field, amount in seconds.items():
                    self._seconds[field] = self._seconds.get(field, 0.0) + amount
            raise


@dataclass(frozen=True)
class Reading:
    """The sums of one measure for one set of labels.

    total: a counter's number, or the sum of a histogram's durations.
    buckets: how many durations fell into each bucket, the last one without an upper end; () for a counter.
    """

    measure: Measure
    labels: tuple[str, ...]
    total: float
    buckets: tuple[int, ...] = ()


def read(connection: redis.Redis, known: Iterable[tuple[Measure, tuple[str, ...]]] = ()) -> Iterator[Reading]:
    """Yield the sums of all processes, in the order of MEASURES and of their labels.

    known: labels that a measure will have; they are 0 until something is counted. A counter that came into
    being with its first event would hide that one: `increase()` sees no step from nothing to 1.

    Raises redis.RedisError.
    """
    values: dict[_Field, float] = {}
    for measure, labels in known:
        values[measure.name, *labels, *([_SUM] if measure.bounds else [])] = 0.0
    stored = cast(dict[bytes, bytes], connection.hgetall(_KEY))
    values.update({tuple(json.loads(field)): float(n) for field, n in stored.items()})
    for measure in MEASURES:
        # What another version of the program kept under other labels is left out.
        length = 1 + len(measure.labels) + bool(measure.bounds)
        for field in sorted(f for f in values if f[0] == measure.name and len(f) == length):
            if not measure.bounds:
                yield Reading(measure, field[1:], values[field])
            elif field[-1] == _SUM:
                ends = map(str, range(len(measure.bounds) + 1))
                buckets = tuple(int(values.get((*field[:-1], end), 0)) for end in ends)
                yield Reading(measure, field[1:-1], values[field], buckets)
