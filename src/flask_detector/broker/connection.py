"""The way to Redis."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from flask_detector.broker.diagnose import what_to_do
from flask_detector.broker.sentinel import is_sentinel, leader
from flask_detector.errors import BrokerUnavailable, ServiceError, SettingsError
from flask_detector.url_paths import quoted_socket

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# With these codes Redis refuses what it may accept later: its memory or disk is full, replicas are away, it
# leads no longer. Its client has classes for some, but finds them only where the code is the first word. The
# client itself puts others before it in a pipeline, and Redis up to 6.2 in a script.
_PASSING_CODES = re.compile(
    r"\b(OOM|READONLY|UNBLOCKED|MISCONF|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN)\b"
)
_FULL = re.compile(r"\bOOM\b")
_LONGEST_PAUSE = 1.0

_CLIENT_INFO = re.compile(r"([\w-]+)=(.*?)(?: (?=[\w-]+=)|$)", re.DOTALL)


def connect(url: str) -> redis.Redis:
    """Return a client for a Redis URL; nothing is sent yet. A command fails within a few seconds."""
    open_url = leader if is_sentinel(url) else redis.Redis.from_url
    try:
        client: redis.Redis = open_url(
            quoted_socket(url),
            socket_connect_timeout=2,
            socket_timeout=5,
            health_check_interval=30,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.1), 1),
        )
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses options that there are not
    except (ValueError, TypeError, redis.RedisError) as error:
        raise SettingsError(
            f"REDIS_URL can't be used: {error}.",
            hint="Write it as redis://, rediss://, unix:// or redis+sentinel://, then the address; "
            "docs/redis.md has examples.",
        ) from error
    client.set_response_callback("CLIENT INFO", _client_info)
    client.set_response_callback("XREAD", _entries)
    return client


def _client_info(answer: bytes) -> dict[str, str]:
    """Return what a server says of a connection; redis-py's way fails where a socket's path has a space."""
    return dict(_CLIENT_INFO.findall(answer.decode(errors="replace").strip()))


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the entries that XREAD finds in a stream; redis-py's form depends on the protocol."""
    return [
        (id, dict(zip(fields[::2], fields[1::2], strict=True)))
        for entries in dict(answer or {}).values()
        for id, fields in entries
    ]


def check(connection: redis.Redis) -> None:
    """Raise BrokerUnavailable when Redis does not answer."""
    try:
        connection.ping()
    except redis.RedisError as error:
        raise BrokerUnavailable("Redis can't be reached.", hint=what_to_do(error, connection)) from error


def may_pass(error: redis.RedisError) -> bool:
    """Tell whether an error may go away by itself: an outage, full memory, a full disk, a failover."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return False
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | redis.ReadOnlyError) or is_full(error):
        return True
    return _PASSING_CODES.search(str(error)) is not None


def is_full(error: redis.RedisError) -> bool:
    """Tell whether Redis refused a command, or what a script does, because its memory is full."""
    return isinstance(error, redis.exceptions.OutOfMemoryError) or _FULL.search(str(error)) is not None


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Raise our own errors for Redis's within the block."""
    try:
        yield
    except redis.RedisError as error:
        if is_full(error):
            raise ServiceError("Redis is full.", hint="Nothing was accepted. Try again later.") from error
        if not may_pass(error):
            raise
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            raise BrokerUnavailable("Redis can't be reached.") from error
        raise BrokerUnavailable("Redis can't write at the moment.") from error


def persevere(act: Callable[[], _T], *, is_over: Callable[[], bool]) -> _T:
    """Do something with Redis again and again while its errors may pass; return what it returns.

    is_over: whether it is too late to go on; the error is raised then. Only for what does no harm when it is
    done twice: an answer may have been lost.
    """
    pause = 0.05
    while True:
        try:
            return act()
        except redis.RedisError as error:
            if not may_pass(error) or is_over():
                raise
            if pause < _LONGEST_PAUSE:
                log.warning("Redis is unavailable (%s); retrying", type(error).__name__)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
