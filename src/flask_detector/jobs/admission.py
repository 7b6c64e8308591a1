"""Who may still put pictures into the queue, and when those come back who may not.

The queue is bounded, and so is each client's part of it: under one client's flood others still find room.
Whoever is refused is told a time that follows from how fast pictures are done here.
"""

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import redis
from redis.client import Pipeline

from flask_detector.errors import QueueFull, ServiceError, ShareUsedUp
from flask_detector.jobs.keys import job_key
from flask_detector.jobs.rq_records import RQ_STATUS
from flask_detector.jobs.states import UNFINISHED
from flask_detector.jobs.throughput import DetectionTimes
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.settings import Settings

# Uploads are refused before Redis is full: workers need room for the results of what waits.
_FULLEST = 0.9
_LOOK_SECONDS = 1.0
_LOOK_MILLISECONDS = 1000

# Of the room that was found, so much is given out within the next second without looking again. Ten web
# processes that do the same give out no more than there was.
_KNOWN_PART = 0.1

# Those who were refused come back when this part of the room may be free again.
_FREE_PART = 0.1

# Where nothing is known of how fast pictures are done.
_UNKNOWN_SECONDS = 1.0
_WITHOUT_WORKERS = 30
_LONGEST_WAIT = 600

_UNFINISHED = {RQ_STATUS[status].encode() for status in UNFINISHED}


class Admission:
    """The room of the queues. Every method raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._connection = connection
        self._detection_times = DetectionTimes(self._connection)
        self._settings = settings
        self._looked_at = float("-inf")
        self._memory: dict[str, Any] = {}
        self._known_room: Counter[str] = Counter()
        self._known_until = float("-inf")
        self._looking = threading.Lock()

    def check(
        self,
        queue_key: str,
        share: str | None,
        workers: Callable[[], list[WorkerInfo]],
        *,
        more: int = 0,
    ) -> None:
        """Raise QueueFull, ShareUsedUp or ServiceError unless there is room for one more.

        share: the client's that counts; None for whoever has none.
        workers: returns those of the queue; called when a time is to be told.
        more: how many of the client beside are about to be queued.
        """
        self.check_memory()
        if self._takes_known_room(queue_key, share):
            return
        most = self._settings.max_queue_per_client
        with self._connection.pipeline(transaction=False) as pipeline:
            pipeline.llen(queue_key)
            pipeline.scard(_key(share or ""))
            waiting, own = pipeline.execute()
        if waiting + more >= self._settings.max_queue:
            rate = self._rate(workers())
            raise QueueFull(
                f"{self._settings.max_queue} pictures are already waiting.",
                retry_after=_wait(self._settings.max_queue, rate),
            )
        if share is not None and own + more >= most and (own := self._own(share, own)) + more >= most:
            rate = self._rate(workers()) * own / max(own, waiting)
            raise ShareUsedUp(
                f"{own + more} of your pictures are already waiting, the most allowed per client.",
                retry_after=_wait(most, rate),
            )
        with self._looking:
            self._known_room[queue_key] = int(_KNOWN_PART * (self._settings.max_queue - waiting - more))
            self._known_room[share or ""] = int(_KNOWN_PART * (most - own - more))

    def _takes_known_room(self, queue_key: str, share: str | None) -> bool:
        """Tell whether there was room for one more when that was looked at a moment ago, and take it."""
        places = (queue_key,) if share is None else (queue_key, share)
        with self._looking:
            if time.monotonic() > self._known_until:
                self._known_room.clear()
                self._known_until = time.monotonic() + _LOOK_SECONDS
            has_room = all(self._known_room[place] > 0 for place in places)
            if has_room:
                self._known_room.subtract(places)
            return has_room

    def take(self, share: str | None, id: str, pipeline: Pipeline) -> None:
        """Count a detection in a client's share."""
        if share is not None:
            pipeline.sadd(_key(share), id)
            pipeline.expire(_key(share), self._settings.retention_seconds)

    def _own(self, share: str, counted: int) -> int:
        """Return how many detections of a client's share have not ended.

        Those that nobody took out as they ended (they expired, or their workers died) are found now and then.
        """
        key = _key(share)
        if not self._connection.set(f"{key}:looked", "", nx=True, px=_LOOK_MILLISECONDS):
            return counted
        ids = list(cast(set[bytes], self._connection.smembers(key)))
        with self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hget(job_key(id.decode()), "status")
            ended = [
                id for id, status in zip(ids, pipeline.execute(), strict=True) if status not in _UNFINISHED
            ]
        if ended:
            self._connection.srem(key, *ended)
        return len(ids) - len(ended)

    def check_memory(self) -> None:
        """Raise ServiceError where what is left of Redis's memory is for the results of what waits."""
        with self._looking:
            if time.monotonic() - self._looked_at > _LOOK_SECONDS:
                self._memory = self._connection.info("memory")
                self._looked_at = time.monotonic()
        most = self._memory.get("maxmemory", 0)
        if most and self._memory["used_memory"] > _FULLEST * most:
            raise ServiceError(
                "Redis is nearly full; what is left is for the pictures that wait.",
                hint="Nothing was accepted. Try again later.",
                retry_after=_WITHOUT_WORKERS,
            )

    def _rate(self, workers: list[WorkerInfo]) -> float:
        """Return how many pictures are done in a second; 0 without workers."""
        times = self._detection_times.by_model()
        return sum(1 / max(times.get(worker.model, _UNKNOWN_SECONDS), 0.001) for worker in workers)


def _wait(places: int, rate: float) -> int:
    """Return the seconds until a part of so many places is free."""
    if rate == 0:
        return _WITHOUT_WORKERS
    return min(_LONGEST_WAIT, max(1, math.ceil(places * _FREE_PART / rate)))


def share_of(client: str | None) -> str | None:
    """Return what a client's share is called, in which no address can be read; None where there is none."""
    return None if client is None else hashlib.sha256(client.encode()).hexdigest()[:32]


def leave(share: str | None, id: str, pipeline: Pipeline) -> None:
    """Count a detection in its client's share no more."""
    if share is not None:
        pipeline.srem(_key(share), id)


def _key(share: str) -> str:
    return f"flask-detector:share:{share}"
