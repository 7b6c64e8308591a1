"""The way to Redis."""

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from flask_detector.errors import BrokerUnavailable, SettingsError


def connect(url: str, *, patient: bool = False) -> redis.Redis:
    """Return a client for a Redis URL; nothing is sent yet.

    patient: outlast an outage of half a minute within a command, as a worker with a result in hand should;
    otherwise fail within a few seconds, as a web request should.
    """
    retries, longest_pause = (40, 1.0) if patient else (1, 0.1)
    try:
        return redis.Redis.from_url(
            url,
            socket_connect_timeout=2,
            socket_timeout=5,
            health_check_interval=30,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=longest_pause), retries),
        )
    except ValueError as error:
        raise SettingsError(
            f"REDIS_URL can't be used: {error}.",
            hint="Write it as redis://, rediss:// or unix://, then the address.",
        ) from error


def check(connection: redis.Redis) -> None:
    """Raise BrokerUnavailable when Redis does not answer."""
    try:
        connection.ping()
    except redis.RedisError as error:
        raise BrokerUnavailable(
            "Redis can't be reached.",
            hint="Check that it runs and that REDIS_URL names it, or unset REDIS_URL to have one started.",
        ) from error
