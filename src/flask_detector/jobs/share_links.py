"""Links that let anybody look at a detection, or a batch, until they are withdrawn."""

import secrets
from typing import cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import UnknownDetection


class ShareLinks:
    """The links of one Redis, by their tokens. Every method raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def create(self, id: str) -> str:
        """Return the token that lets anybody look at what has an id; the same one until it is withdrawn."""
        token = secrets.token_urlsafe(16)
        with reaching_redis():
            if not self._connection.set(_token_key(id), token, nx=True, ex=self._seconds):
                token = self.token_of(id) or token
            self._connection.set(_shared_key(token), id, ex=self._seconds)
        return token

    def token_of(self, id: str) -> str | None:
        """Return the token of what is shared."""
        with reaching_redis():
            token = cast(bytes | None, self._connection.get(_token_key(id)))
        return None if token is None else token.decode()

    def opened_by(self, token: str) -> str:
        """Return the id of what a token opens; raises UnknownDetection."""
        with reaching_redis():
            id = cast(bytes | None, self._connection.get(_shared_key(token)))
        if id is None:
            raise UnknownDetection("There is nothing here, or it is no longer shared.")
        return id.decode()

    def withdraw(self, id: str, pipeline: Pipeline) -> None:
        """Put into a pipeline what lets the token of an id open nothing any more."""
        token = self.token_of(id)
        pipeline.delete(_token_key(id))
        if token is not None:
            pipeline.delete(_shared_key(token))


def _token_key(id: str) -> str:
    return f"flask-detector:token:{id}"


def _shared_key(token: str) -> str:
    return f"flask-detector:shared:{token}"
