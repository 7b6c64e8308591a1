"""Which detections belong together: a visitor's own, a batch's, and the one that a share link opens.

Small keys in Redis beside the records; each expires with the newest record that it names.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis

from flask_detector.errors import UnknownDetection
from flask_detector.jobs import new_id, reaching_redis
from flask_detector.records import Failure


@dataclass(frozen=True)
class Refused:
    """A picture of a batch that was not accepted, and why."""

    filename: str
    failure: Failure


@dataclass(frozen=True)
class Batch:
    """Pictures that were sent together, in their order."""

    id: str
    owner: str
    detections: tuple[str, ...]
    refused: tuple[Refused, ...]


class Shelf:
    """The groups of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def remember(self, owner: str, id: str) -> None:
        """Put a detection on top of its owner's history."""
        with reaching_redis(), self._connection.pipeline() as pipeline:
            now = time.time()
            pipeline.zadd(_history(owner), {id: now})
            pipeline.zremrangebyscore(_history(owner), 0, now - self._seconds)
            pipeline.expire(_history(owner), self._seconds)
            pipeline.execute()

    def history(self, owner: str) -> list[str]:
        """Return the ids of an owner's detections, newest first; some may have expired meanwhile."""
        with reaching_redis():
            ids = cast(list[bytes], self._connection.zrevrange(_history(owner), 0, -1))
        return [id.decode() for id in ids]

    def forget(self, owner: str, id: str) -> None:
        """Take a detection out of its owner's history."""
        with reaching_redis():
            self._connection.zrem(_history(owner), id)

    def keep_batch(self, owner: str, detections: list[str], refused: list[Refused]) -> str:
        """Keep which detections were sent together; return the batch's id."""
        id = new_id()
        form = {"owner": owner, "detections": detections, "refused": [asdict(one) for one in refused]}
        with reaching_redis():
            self._connection.set(_batch(id), json.dumps(form), ex=self._seconds)
        return id

    def batch(self, id: str) -> Batch:
        """Return a batch; raises UnknownDetection."""
        with reaching_redis():
            data = self._connection.get(_batch(id))
        if data is None:
            raise UnknownDetection("There is no such batch.")
        form: dict[str, Any] = json.loads(data)
        refused = tuple(Refused(one["filename"], Failure(**one["failure"])) for one in form["refused"])
        return Batch(id, form["owner"], tuple(form["detections"]), refused)

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

    def withdraw(self, id: str) -> None:
        """Let the token of a detection open nothing any more."""
        token = self.token_of(id)
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.delete(_token_of(id))
            if token is not None:
                pipeline.delete(_shared(token))
            pipeline.execute()


def _history(owner: str) -> str:
    return f"flask-detector:history:{owner}"


def _batch(id: str) -> str:
    return f"flask-detector:batch:{id}"


def _token_of(id: str) -> str:
    return f"flask-detector:token:{id}"


def _shared(token: str) -> str:
    return f"flask-detector:shared:{token}"
