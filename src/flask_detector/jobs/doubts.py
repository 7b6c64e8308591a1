"""How much a model is in doubt about each picture of a collection: looked at one by one, when asked to.

What looks at them is a job of RQ with the states and moves of a detection, under an id that nobody is told.
After each picture it goes to the end of the queue, so that nobody waits longer for it than for one picture.
All of it is kept as long as results are.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis


class Doubts:
    """The doubts of one Redis. Every method raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def begin(self, collection: str, model: str, paths: Sequence[str], id: str, pipeline: Pipeline) -> None:
        """Put into a pipeline at which pictures, by their paths in the storage, which job is to look."""
        key = _key(collection, model)
        pipeline.delete(f"{key}:left")
        pipeline.rpush(f"{key}:left", *paths)
        pipeline.set(f"{key}:job", id, ex=self._seconds)
        pipeline.expire(f"{key}:left", self._seconds)

    def of(self, collection: str, model: str) -> dict[str, float]:
        """Return the doubts of the pictures that were looked at, by their ids; see `structures.doubt`."""
        with reaching_redis():
            found = cast(dict[bytes, bytes], self._connection.hgetall(_key(collection, model)))
        return {picture.decode(): float(number) for picture, number in found.items()}

    def job(self, collection: str, model: str) -> str | None:
        """Return the id of the job that looks at pictures, or did last."""
        with reaching_redis():
            id = cast(bytes | None, self._connection.get(f"{_key(collection, model)}:job"))
        return None if id is None else id.decode()

    def left(self, collection: str, model: str) -> int:
        """Return how many pictures are still to be looked at."""
        with reaching_redis():
            return self._connection.llen(f"{_key(collection, model)}:left")

    def take(self, collection: str, model: str) -> str | None:
        """Take the next path: a picture at which a worker dies is not looked at again."""
        with reaching_redis():
            path = cast(bytes | None, self._connection.lpop(f"{_key(collection, model)}:left"))
        return None if path is None else path.decode()

    def write(self, collection: str, model: str, path: str, doubt: float) -> None:
        """Keep how much the model is in doubt about the picture at that path."""
        key = _key(collection, model)
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.hset(key, PurePosixPath(path).stem, str(doubt))
            for one in (key, f"{key}:left", f"{key}:job"):
                pipeline.expire(one, self._seconds)
            pipeline.execute()


def _key(collection: str, model: str) -> str:
    return f"flask-detector:doubts:{collection}:{model}"
