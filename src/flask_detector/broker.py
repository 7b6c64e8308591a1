"""The way to Redis."""

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from flask_detector.errors import BrokerUnavailable, SettingsError
from flask_detector.sentinel import is_sentinel, leader


def connect(url: str, *, patient: bool = False) -> redis.Redis:
    """Return a client for a Redis URL; nothing is sent yet.

    patient: outlast an outage of half a minute within a command, as a worker with a result in hand should;
    otherwise fail within a few seconds, as a web request should.
    """
    retries, longest_pause = (40, 1.0) if patient else (1, 0.1)
    open_url = leader if is_sentinel(url) else redis.Redis.from_url
    try:
        client: redis.Redis = open_url(
            url,
            socket_connect_timeout=2,
            socket_timeout=5,
            health_check_interval=30,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=longest_pause), retries),
        )
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses options that there are not
    except (ValueError, TypeError, redis.RedisError) as error:
        raise SettingsError(
            f"REDIS_URL can't be used: {error}.",
            hint="Write it as redis://, rediss://, unix:// or redis+sentinel://, then the address; "
            "docs/redis.md has examples.",
        ) from error
    return client


def check(connection: redis.Redis) -> None:
    """Raise BrokerUnavailable when Redis does not answer."""
    try:
        connection.ping()
    except redis.RedisError as error:
        raise BrokerUnavailable("Redis can't be reached.", hint=_what_to_do(error)) from error


def _what_to_do(error: redis.RedisError) -> str:
    if isinstance(error, redis.AuthenticationError):
        return "It refuses the user or password of REDIS_URL."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "Its certificate can't be verified: let DETECTOR_REDIS_CA name the authority's certificate."
    if isinstance(error, MasterNotFoundError):
        return "No sentinel of REDIS_URL knows a leader by this name: check the name, and that they run."
    return "Check that it runs and that REDIS_URL names it, or unset REDIS_URL to have one started."
