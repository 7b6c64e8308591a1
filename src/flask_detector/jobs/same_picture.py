"""Which detections are of the same picture: those that were made of another one's, with another model."""

from typing import cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis


class SamePicture:
    """The detections of one Redis that share their picture. Every method raises BrokerUnavailable.

    What is said of a detection expires with it; one that is deleted earlier may still be named.
    """

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def add(self, first: str, again: str, pipeline: Pipeline) -> None:
        """Put into a pipeline what says that a detection is of the same picture as an earlier one."""
        group = self._group_of(first) or first
        for id in (first, again):
            pipeline.set(_group_key(id), group, ex=self._seconds)
            pipeline.sadd(_members_key(group), id)
        pipeline.expire(_members_key(group), self._seconds)

    def others(self, id: str) -> list[str]:
        """Return the ids of the other detections of the same picture, in no order."""
        group = self._group_of(id)
        if group is None:
            return []
        with reaching_redis():
            members = cast(set[bytes], self._connection.smembers(_members_key(group)))
        return [one.decode() for one in members if one.decode() != id]

    def _group_of(self, id: str) -> str | None:
        with reaching_redis():
            group = cast(bytes | None, self._connection.get(_group_key(id)))
        return None if group is None else group.decode()


def _group_key(id: str) -> str:
    return f"flask-detector:picture-of:{id}"


def _members_key(group: str) -> str:
    return f"flask-detector:of-picture:{group}"
