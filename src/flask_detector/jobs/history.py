"""A visitor's own detections, newest first."""

import time
from typing import cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis
from flask_detector.jobs.keys import history_key

# So many detections of an owner may have come at the very same time.
_TIES = 32

# Where a page of a history ends: the time and the id of its last detection.
CURSOR = r"^[0-9]{1,12}(\.[0-9]{1,9})?-[0-9a-f]{32}$"


class History:
    """The histories of one Redis; each expires with its newest detection.

    Methods that take a pipeline put what they write into it; the others raise BrokerUnavailable.
    """

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def add(self, owner: str, id: str, pipeline: Pipeline) -> None:
        """Put a detection on top of its owner's history."""
        now = time.time()
        pipeline.zadd(history_key(owner), {id: now})
        pipeline.zremrangebyscore(history_key(owner), 0, now - self._seconds)
        pipeline.expire(history_key(owner), self._seconds)

    def remove(self, owner: str, id: str, pipeline: Pipeline) -> None:
        """Take a detection out of its owner's history."""
        pipeline.zrem(history_key(owner), id)

    def page(self, owner: str, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """Return the next ids of an owner's detections after a cursor, newest first, and the next cursor.

        cursor: of the form CURSOR; None for the beginning.
        """
        score, _, last = (cursor or "+inf").partition("-")
        with reaching_redis():
            found = cast(
                list[tuple[bytes, float]],
                self._connection.zrevrangebyscore(
                    history_key(owner), score, "-inf", start=0, num=limit + _TIES, withscores=True
                ),
            )
        # Of those of the very same time, the ones up to the cursor's were in the page before.
        rest = [
            (id.decode(), time)
            for id, time in found
            if not last or time != float(score) or id.decode() < last
        ]
        page = rest[:limit]
        return [id for id, _ in page], f"{page[-1][1]!r}-{page[-1][0]}" if len(rest) > limit else None
