"""How long a picture takes here, by model: workers tell it, pages show it to who chooses a model or waits."""

import time
from contextlib import suppress
from typing import cast

import redis

from flask_detector.broker.connection import reaching_redis

_KEY = "flask-detector:pace"

# What the newest picture counts for in the running mean: the last five or so decide.
_WEIGHT = 0.3

# A fast model's worker writes its mean only so often.
_WRITE_SECONDS = 1.0


class DetectionTimes:
    """The mean times of one Redis, over the last few pictures of each model."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._means: dict[str, float] = {}
        self._next_write: dict[str, float] = {}

    def record(self, model: str, seconds: float) -> None:
        """Take one picture's time into account; it is let go if Redis can't be reached."""
        before = self._means.get(model, seconds)
        self._means[model] = before * (1 - _WEIGHT) + seconds * _WEIGHT
        now = time.monotonic()
        if now < self._next_write.get(model, now):
            return
        self._next_write[model] = now + _WRITE_SECONDS
        with suppress(redis.RedisError):
            self._connection.hset(_KEY, model, f"{self._means[model]:.4f}")

    def by_model(self) -> dict[str, float]:
        """Return the seconds a picture takes by model name; raises BrokerUnavailable."""
        with reaching_redis():
            means = cast(dict[bytes, bytes], self._connection.hgetall(_KEY))
        return {model.decode(): float(seconds) for model, seconds in means.items()}
