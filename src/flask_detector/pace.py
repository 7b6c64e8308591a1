"""How long a picture takes here, by model: workers tell it, pages show it to who chooses a model or waits."""

from contextlib import suppress
from typing import cast

import redis

from flask_detector.jobs import reaching_redis

_KEY = "flask-detector:pace"

# What the newest picture counts for in the running mean: the last five or so decide.
_WEIGHT = 0.3


class Pace:
    """The mean times of one Redis, over the last few pictures of each model."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def tell(self, model: str, seconds: float) -> None:
        """Take one picture's time into account; it is let go if Redis can't be reached."""
        with suppress(redis.RedisError):
            before = self._connection.hget(_KEY, model)
            mean = seconds if before is None else float(before) * (1 - _WEIGHT) + seconds * _WEIGHT
            self._connection.hset(_KEY, model, f"{mean:.4f}")

    def by_model(self) -> dict[str, float]:
        """Return the seconds a picture takes by model name; raises BrokerUnavailable."""
        with reaching_redis():
            means = cast(dict[bytes, bytes], self._connection.hgetall(_KEY))
        return {model.decode(): float(seconds) for model, seconds in means.items()}
