"""What a Redis holds, to compare with what it held before."""

from collections.abc import Iterator
from typing import Any, cast

import redis


def content(connection: redis.Redis) -> dict[bytes, Any]:
    """Return every key's value, those of hashes and sets in no order.

    What DUMP returns is in an order, and that changes while Redis enlarges its tables.
    """
    keys = sorted(cast(Iterator[bytes], connection.scan_iter()))
    return {key: _value(connection, key) for key in keys}


def _value(connection: redis.Redis, key: bytes) -> Any:
    match connection.type(key):
        case b"string":
            return connection.get(key)
        case b"hash":
            return connection.hgetall(key)
        case b"list":
            return connection.lrange(key, 0, -1)
        case b"set":
            return connection.smembers(key)
        case b"zset":
            return connection.zrange(key, 0, -1, withscores=True)
        case other:
            raise AssertionError(f"{key!r} is of a type that is not compared here: {other!r}")
