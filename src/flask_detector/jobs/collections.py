"""Which detections belong together: a visitor's own, a batch's, and the one that a share link opens.

Small keys in Redis beside the records; each expires with the newest record that it names.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import UnknownDetection
from flask_detector.jobs.records import Failure

# So many detections of an owner may have come at the very same time.
_TIES = 32

# Where a page of a history ends: the time and the id of its last detection.
CURSOR = r"^[0-9]{1,12}(\.[0-9]{1,9})?-[0-9a-f]{32}$"


@dataclass(frozen=True)
class Refused:
    """A picture of a batch that was not accepted, and why."""

    filename: str
    failure: Failure


@dataclass(frozen=True)
class Batch:
    """Pictures that were sent together, in their order."""

    id: str
    owner: str | None
    detections: tuple[str, ...]
    refused: tuple[Refused, ...]


class Shelf:
    """The groups of one Redis. Every method raises BrokerUnavailable when it can't be reached.

    Those that take a pipeline put what they write into it.
    """

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def remember(self, owner: str, id: str, pipeline: Pipeline) -> None:
        """Put a detection on top of its owner's history."""
        now = time.time()
        pipeline.zadd(_history(owner), {id: now})
        pipeline.zremrangebyscore(_history(owner), 0, now - self._seconds)
        pipeline.expire(_history(owner), self._seconds)

    def history(self, owner: str) -> list[str]:
        """Return the ids of an owner's detections, newest first; some may have expired meanwhile."""
        with reaching_redis():
            ids = cast(list[bytes], self._connection.zrevrange(_history(owner), 0, -1))
        return [id.decode() for id in ids]

    def page(self, owner: str, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """Return the next ids of an owner's detections after a cursor, newest first, and the next cursor.

        cursor: of the form CURSOR; None for the beginning.
        """
        score, _, last = (cursor or "+inf").partition("-")
        with reaching_redis():
            found = cast(
                list[tuple[bytes, float]],
                self._connection.zrevrangebyscore(
                    _history(owner), score, "-inf", start=0, num=limit + _TIES, withscores=True
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

    def forget(self, owner: str, id: str, pipeline: Pipeline) -> None:
        """Take a detection out of its owner's history."""
        pipeline.zrem(_history(owner), id)

    def keep_batch(self, batch: Batch, pipeline: Pipeline) -> None:
        """Keep which detections were sent together."""
        form = {
            "owner": batch.owner,
            "detections": batch.detections,
            "refused": [asdict(one) for one in batch.refused],
        }
        pipeline.set(_batch(batch.id), json.dumps(form), ex=self._seconds)

    def batch(self, id: str) -> Batch:
        """Return a batch; raises UnknownDetection."""
        with reaching_redis():
            data = self._connection.get(_batch(id))
        if data is None:
            raise UnknownDetection("There is no such batch.")
        form: dict[str, Any] = json.loads(data)
        refused = tuple(Refused(one["filename"], Failure(**one["failure"])) for one in form["refused"])
        return Batch(id, form["owner"], tuple(form["detections"]), refused)

    def has_batch(self, id: str) -> bool:
        """Tell whether there is a batch of that id."""
        with reaching_redis():
            return bool(self._connection.exists(_batch(id)))

    def forget_batch(self, id: str) -> None:
        """Forget which detections were sent together; they themselves stay."""
        with reaching_redis():
            self._connection.delete(_batch(id))

    def share(self, id: str) -> str:
        """Return the token that lets anybody look at a detection; the same one until it is withdrawn."""
        token = secrets.token_urlsafe(16)
        with reaching_redis():
            if not self._connection.set(_token_of(id), token, nx=True, ex=self._seconds):
                token = self.token_of(id) or token
            self._connection.set(_shared(token), id, ex=self._seconds)
        return token

    def token_of(self, id: str) -> str | None:
        """Return the token of a detection that is shared."""
        with reaching_redis():
            token = cast(bytes | None, self._connection.get(_token_of(id)))
        return None if token is None else token.decode()

    def shared(self, token: str) -> str:
        """Return the id of the detection that a token opens; raises UnknownDetection."""
        with reaching_redis():
            id = cast(bytes | None, self._connection.get(_shared(token)))
        if id is None:
            raise UnknownDetection("There is no such detection, or it is no longer shared.")
        return id.decode()

    def withdraw(self, id: str, pipeline: Pipeline) -> None:
        """Let the token of a detection open nothing any more."""
        token = self.token_of(id)
        pipeline.delete(_token_of(id))
        if token is not None:
            pipeline.delete(_shared(token))


def _history(owner: str) -> str:
    return f"flask-detector:history:{owner}"


def _batch(id: str) -> str:
    return f"flask-detector:batch:{id}"


def _token_of(id: str) -> str:
    return f"flask-detector:token:{id}"


def _shared(token: str) -> str:
    return f"flask-detector:shared:{token}"
