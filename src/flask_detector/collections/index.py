"""What is quick to ask of collections, in Redis: none of it is lost with it, since all of it is in the files.

Of each collection there are a hash of its pictures' entries, one of their details and one of sums over them;
of all of them one of what their collection.json says, one of the tokens of links, and one of the bytes that
they have; of each owner the set of their collections.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, cast

import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.collections.documents import Collection, Details, Entry, State, compact
from flask_detector.errors import ServiceError

_COLLECTIONS = "flask-detector:collections"
_LINKS = "flask-detector:collection-links"
_USED = "flask-detector:collection-bytes"

# The fields of what all take, and of the sums over a collection that is known as a whole.
_ALL = "all"
_COMPLETE = "complete"

# Files are compared with the index again when they were not for so long: somebody may have changed them by
# hand, or Redis may be an older copy of itself.
_COMPARED_SECONDS = 60

# So many collections of up to 50,000 pictures stay in this process's memory: 7 MB for 10,000.
_REMEMBERED = 2

# A lock whose holder died opens after so long; whoever waits for it gives up earlier.
_LOCK_SECONDS = 60
_PATIENCE_SECONDS = 20

# KEYS: the entries, their details, the sums, what all take. ARGV: the owner and a number that no other change
# has; then of each picture the id, its entry and its details, both empty to forget it.
_SET = f"""
local STATE, SIZE = {1 + Entry._fields.index("state")}, {1 + Entry._fields.index("size")}
local function count(entry, sign)
  redis.call('HINCRBY', KEYS[3], 'pictures', sign)
  redis.call('HINCRBY', KEYS[3], 'size', sign * entry[SIZE])
  redis.call('HINCRBY', KEYS[3], entry[STATE], sign)
  redis.call('HINCRBY', KEYS[4], 'all', sign * entry[SIZE])
  redis.call('HINCRBY', KEYS[4], ARGV[1], sign * entry[SIZE])
end
redis.call('HSET', KEYS[3], 'revision', ARGV[2])
for i = 3, #ARGV, 3 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before then count(cjson.decode(before), -1) end
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
    count(cjson.decode(ARGV[i + 1]), 1)
  end
end
"""
_SET_AT_ONCE = 500


@dataclass(frozen=True)
class Sums:
    """What a collection has: pictures, their size in bytes, and how many are in each state."""

    pictures: int
    size: int
    states: Mapping[State, int]


class Freshness(NamedTuple):
    """How far the index may be believed of a collection.

    is_complete: whether all of its files were taken in since Redis has lost what it knew.
    is_due: whether it is time to compare it with the files; true for one caller, who does it.
    """

    is_complete: bool
    is_due: bool


class Index:
    """The index in one Redis. Every method raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._set = connection.register_script(_SET)
        # What a list needs first of all: parsing ten thousand takes longer than all the rest of it.
        self._remembered = lru_cache(_REMEMBERED)(lambda id, revision: self._read_entries(id))

    @contextmanager
    def locked(self, id: str = "") -> Iterator[Callable[[], None]]:
        """Be the only one to change a collection's files within the block; raises ServiceError if it is busy.

        The block is given a function to call now and then, if it takes long.

        id: empty for the list of all collections.
        """
        lock = self._connection.lock(
            f"flask-detector:collection-lock:{id}",
            timeout=_LOCK_SECONDS,
            blocking_timeout=_PATIENCE_SECONDS,
            sleep=0.02,
        )

        def keep() -> None:
            with reaching_redis():
                lock.reacquire()

        with reaching_redis():
            if not lock.acquire():
                raise ServiceError("The collection is being changed by somebody else.")
        try:
            yield keep
        finally:
            with suppress(redis.RedisError):  # it opens by itself; the block's own error counts
                lock.release()

    def freshness(self, ids: Sequence[str] = ("",)) -> list[Freshness]:
        """Return how far the index may be believed of each collection.

        ids: an empty one is the list of all collections.
        """
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hexists(_sums_key(id), _COMPLETE)
                pipeline.set(_compared_key(id), "", ex=_COMPARED_SECONDS, nx=True)
            found = iter(pipeline.execute())
        return [
            Freshness(bool(is_complete), bool(is_due))
            for is_complete, is_due in zip(found, found, strict=True)
        ]

    def mark_compared(self, id: str = "") -> None:
        """Remember that it was."""
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.hset(_sums_key(id), _COMPLETE, 1)
            pipeline.set(_compared_key(id), "", ex=_COMPARED_SECONDS)
            pipeline.execute()

    def collections(self) -> dict[str, Collection]:
        """Return all collections by their ids."""
        with reaching_redis():
            found = cast(dict[bytes, bytes], self._connection.hgetall(_COLLECTIONS))
        return {id.decode(): Collection.from_bytes(data, id.decode()) for id, data in found.items()}

    def collection(self, id: str) -> Collection | None:
        """Return a collection."""
        with reaching_redis():
            data = cast(bytes | None, self._connection.hget(_COLLECTIONS, id))
        return None if data is None else Collection.from_bytes(data, id)

    def owned_by(self, owner: str) -> list[Collection]:
        """Return an owner's collections, in no order."""
        with reaching_redis():
            ids = cast(set[bytes], self._connection.smembers(_owned_key(owner)))
            found = cast(list[bytes | None], self._connection.hmget(_COLLECTIONS, list(ids)) if ids else [])
        return [
            Collection.from_bytes(data, id.decode())
            for id, data in zip(ids, found, strict=True)
            if data is not None
        ]

    def id_of_link(self, token: str) -> str | None:
        """Return the id of the collection that a link leads to."""
        with reaching_redis():
            id = cast(bytes | None, self._connection.hget(_LINKS, token))
        return None if id is None else id.decode()

    def set_collection(self, collection: Collection, before: Collection | None = None) -> None:
        """Take in what a collection.json says, and forget the links that only the one before had."""
        gone = set(before.links.values() if before else ()) - set(collection.links.values())
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.hset(_COLLECTIONS, collection.id, collection.to_bytes())
            pipeline.sadd(_owned_key(collection.owner), collection.id)
            for token in collection.links.values():
                pipeline.hset(_LINKS, token, collection.id)
            if gone:
                pipeline.hdel(_LINKS, *gone)
            pipeline.execute()

    def forget_collection(self, id: str) -> None:
        """Forget a collection, and all of its pictures."""
        known, (sums,) = self.collection(id), self.sums([id])
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.hdel(_COLLECTIONS, id)
            pipeline.delete(_entries_key(id), _details_key(id), _sums_key(id), _compared_key(id))
            if known is not None:
                pipeline.srem(_owned_key(known.owner), id)
                pipeline.hincrby(_USED, _ALL, -sums.size)
                pipeline.hincrby(_USED, _owner_field(known.owner), -sums.size)
                if known.links:
                    pipeline.hdel(_LINKS, *known.links.values())
            pipeline.execute()

    def entries(self, id: str) -> Sequence[Entry]:
        """Return a collection's pictures, in the order in which they were added."""
        with reaching_redis():
            revision = cast(bytes | None, self._connection.hget(_sums_key(id), "revision"))
        return self._read_entries(id) if revision is None else self._remembered(id, revision)

    def _read_entries(self, id: str) -> Sequence[Entry]:
        with reaching_redis():
            found = cast(list[bytes], self._connection.hvals(_entries_key(id)))
        return sorted(Entry.read(found), key=attrgetter("added_at", "id"))

    def entry(self, id: str, picture: str) -> Entry | None:
        """Return one picture of a collection."""
        with reaching_redis():
            data = cast(bytes | None, self._connection.hget(_entries_key(id), picture))
        return None if data is None else Entry.read([data])[0]

    def some(self, ids: Sequence[str], number: int) -> list[list[str]]:
        """Return the ids of so many pictures at most of each; the same ones as long as nothing changes."""
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hscan(_entries_key(id), count=number)
            found = pipeline.execute()
        return [sorted(picture.decode() for picture in entries)[:number] for _, entries in found]

    def details(self, id: str, pictures: Sequence[str]) -> dict[str, Details]:
        """Return what is known besides of some pictures, by their ids."""
        if not pictures:
            return {}
        with reaching_redis():
            found = cast(list[bytes | None], self._connection.hmget(_details_key(id), list(pictures)))
        return {
            picture: Details.read(data)
            for picture, data in zip(pictures, found, strict=True)
            if data is not None
        }

    def set_entries(
        self,
        collection: Collection,
        entries: Iterable[tuple[Entry, Details]],
        *,
        gone: Iterable[str] = (),
    ) -> None:
        """Take pictures in, and forget those that are gone."""
        id, owner = collection.id, _owner_field(collection.owner)
        words: list[tuple[str | bytes, ...]] = [
            (entry.id, compact(entry), compact(details)) for entry, details in entries
        ]
        words += [(picture, b"", b"") for picture in gone]
        keys = [_entries_key(id), _details_key(id), _sums_key(id), _USED]
        for start in range(0, len(words), _SET_AT_ONCE):
            some = words[start : start + _SET_AT_ONCE]
            with reaching_redis():
                self._set(keys, [owner, secrets.randbits(53), *(word for three in some for word in three)])

    def used(self, owner: str | None) -> tuple[int, int]:
        """Return how many bytes all collections have, and those of an owner."""
        with reaching_redis():
            found = cast(list[bytes | None], self._connection.hmget(_USED, _ALL, _owner_field(owner)))
        return int(found[0] or 0), int(found[1] or 0)

    def sums(self, ids: Sequence[str]) -> list[Sums]:
        """Return what collections have, in the same order."""
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hgetall(_sums_key(id))
            found = pipeline.execute()
        return [_sums_of({name.decode(): int(number) for name, number in one.items()}) for one in found]


def _sums_of(numbers: Mapping[str, int]) -> Sums:
    return Sums(
        numbers.get("pictures", 0), numbers.get("size", 0), {state: numbers.get(state, 0) for state in State}
    )


def _owner_field(owner: str | None) -> str:
    return f"of {owner or ''}"


def _owned_key(owner: str | None) -> str:
    return f"flask-detector:collections-of:{owner or ''}"


def _entries_key(id: str) -> str:
    return f"flask-detector:collection:{id}"


def _details_key(id: str) -> str:
    return f"flask-detector:collection-details:{id}"


def _sums_key(id: str) -> str:
    return f"flask-detector:collection-sums:{id}"


def _compared_key(id: str) -> str:
    return f"flask-detector:collection-compared:{id}"
