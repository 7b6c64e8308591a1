"""Webhooks that are owed: each receiver has a list of its own, so that one that is dead delays nobody else's.

A delivery is expected in the step that accepts its picture and let go in the step that ends its detection. A
courier (`webhooks/sender.py`) takes it for a while, sends it, and then takes it off the list or puts it back.
If it dies meanwhile, the while passes. All times are those of Redis's clock.
"""

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import redis
from redis.client import Pipeline

# Seconds before the second try, the third one, and so on: eight tries over 13 hours.
PAUSES = (5, 30, 120, 600, 3600, 4 * 3600, 8 * 3600)

# How long one try may take in all, in seconds.
SECONDS = 10

# So long nobody else sends what a courier has taken: an outage of Redis may fall between sending and the
# word that it was received, and a delivery should not be sent twice for that.
_TAKEN_SECONDS = 60

# Which receivers have something, by when that is due.
_RECEIVERS = "flask-detector:receivers"

# ARGV: how many are wanted; for how long; what the keys of lists begin with; the receivers that get nothing.
# One of each receiver is taken at most. A receiver with more is behind the others then.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local closed, taken = {}, {}
for i = 4, #ARGV do closed[ARGV[i]] = true end
local wanted = tonumber(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, wanted + #ARGV - 3)
for _, receiver in ipairs(due) do
  if #taken < 2 * wanted and not closed[receiver] then
    local list = ARGV[3] .. receiver
    local id = redis.call('ZRANGEBYSCORE', list, '-inf', now, 'LIMIT', 0, 1)[1]
    if id then
      redis.call('ZADD', list, now + ARGV[2], id)
      table.insert(taken, receiver)
      table.insert(taken, id)
    end
    local next = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')[2]
    if next then
      redis.call('ZADD', KEYS[1], math.max(now, tonumber(next)), receiver)
    else
      redis.call('ZREM', KEYS[1], receiver)
    end
  end
end
return taken
"""

# KEYS: the receivers, the receiver's list, the delivery. ARGV: receiver, id, seconds, tries.
# Nothing is put back that was forgotten meanwhile.
_PUT_BACK = """
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) or redis.call('EXISTS', KEYS[3]) == 0 then return end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] + time[2] / 1000000 + ARGV[3], ARGV[2])
redis.call('HSET', KEYS[3], 'tries', ARGV[4])
redis.call('ZADD', KEYS[1], redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2], ARGV[1])
"""


@dataclass(frozen=True)
class Delivery:
    """Word of a detection's end that is owed to an address.

    id: the same at each try. tries: how many there were.
    owner: the detection's; webhooks of an API key are signed with that key's secret.
    """

    id: str
    detection: str
    receiver: str
    url: str
    owner: str | None
    tries: int


class Deliveries:
    """The deliveries of one Redis. Each method raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._take = connection.register_script(_TAKE)
        self._put_back = connection.register_script(_PUT_BACK)

    def take(self, most: int, *, closed: Collection[str] = ()) -> list[Delivery]:
        """Take deliveries that are due, one of each receiver at most, for as long as sending one may need.

        closed: the receivers that are to get nothing now.
        """
        words = cast(list[bytes], self._take([_RECEIVERS], [most, _TAKEN_SECONDS, _list(""), *closed]))
        pairs = [word.decode() for word in words]
        found = []
        for receiver, detection in zip(pairs[::2], pairs[1::2], strict=True):
            facts = cast(dict[bytes, bytes], self._connection.hgetall(_key(detection)))
            if facts:
                found.append(_delivery_of(detection, receiver, facts))
            else:  # it has expired
                self._connection.zrem(_list(receiver), detection)
        return found

    def put_back(self, delivery: Delivery, seconds: float, *, tries: int) -> None:
        """Let a delivery be tried again after some time; `tries` is how many there were now."""
        keys = [_RECEIVERS, _list(delivery.receiver), _key(delivery.detection)]
        self._put_back(keys, [delivery.receiver, delivery.detection, seconds, tries])

    def remove(self, delivery: Delivery) -> None:
        """Take a delivery off the list: it was received, or nobody is to be told any more."""
        with self._connection.pipeline() as pipeline:
            forget(delivery.receiver, delivery.detection, pipeline)
            pipeline.execute()


def receiver_of(url: str) -> str:
    """Return what the receiver at an address is called: one for each host and port."""
    parts = urlsplit(url)
    return hashlib.sha256(f"{parts.scheme}://{parts.hostname}:{parts.port}".encode()).hexdigest()[:16]


def expect(url: str, detection: str, owner: str | None, retention_seconds: int, pipeline: Pipeline) -> None:
    """Have word of a detection's end sent to an address, once it is let go."""
    facts = {"id": secrets.token_hex(16), "url": url, "owner": owner or "", "tries": 0}
    pipeline.hset(_key(detection), mapping=facts)  # type: ignore[arg-type]  # redis-py asks for less than it takes
    pipeline.expire(_key(detection), retention_seconds)
    # If it is never let go, it is found expired when it would be due.
    due = time.time() + retention_seconds
    pipeline.zadd(_list(receiver_of(url)), {detection: due})
    pipeline.zadd(_RECEIVERS, {receiver_of(url): due}, nx=True)


def let_go(receiver: str | None, detection: str, pipeline: Pipeline) -> None:
    """Let word of a detection's end be sent now, if anybody expects it."""
    if receiver is not None:
        pipeline.zadd(_list(receiver), {detection: 0}, xx=True)
        pipeline.zadd(_RECEIVERS, {receiver: 0})


def forget(receiver: str | None, detection: str, pipeline: Pipeline) -> None:
    """Tell nobody of a detection's end."""
    if receiver is not None:
        pipeline.zrem(_list(receiver), detection)
        pipeline.delete(_key(detection))


def _delivery_of(detection: str, receiver: str, facts: dict[bytes, bytes]) -> Delivery:
    return Delivery(
        id=facts[b"id"].decode(),
        detection=detection,
        receiver=receiver,
        url=facts[b"url"].decode(),
        owner=facts[b"owner"].decode() or None,
        tries=int(facts[b"tries"]),
    )


def _list(receiver: str) -> str:
    return f"flask-detector:receiver:{receiver}"


def _key(detection: str) -> str:
    return f"flask-detector:delivery:{detection}"
