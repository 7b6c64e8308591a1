"""Deleting detections: at once, or in a while until which that can be undone.

A detection that is to be deleted is hidden in one step: its record is moved to a key of its own, so that for
pages, API and workers alike there is none. To undo it is to move it back. What is due is deleted by whichever
worker looks first, picture by picture, and stays listed until all of it is gone: neither a browser that is
closed nor a restart of any process leaves something behind. All times are those of Redis's clock.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job
from rq.job import JobStatus as RqStatus

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import UnknownDetection
from flask_detector.jobs.batches import Batches
from flask_detector.jobs.history import History
from flask_detector.jobs.keys import hidden_key, job_key
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.records import Record
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.share_links import ShareLinks
from flask_detector.settings import Settings

UNDO_SECONDS = 10
"""How long a deletion can be undone."""

# A click in the last moment still arrives in time.
_GRACE_SECONDS = 2

# Deletions that are to be carried out, by when they are due.
_DUE = "flask-detector:deletions"

_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

# KEYS: the deletions that are due, this one, the owner's, then pairs of a record and where it is hidden.
# ARGV: this deletion's id, its JSON, seconds until it is due.
_HIDE = f"""{_NOW}
for i = 4, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i + 1]) end
end
local due = string.format('%.6f', now + ARGV[3])
redis.call('SET', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[1], 'NX', due, ARGV[1])
redis.call('ZADD', KEYS[3], 'NX', due, ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[3])
"""

# KEYS: as above. ARGV: this deletion's id, what the keys of queues begin with; then the detections' ids.
# Returns how many are there again, also when it is run again; what was waiting or running waits again.
_UNDO = f"""{_NOW}
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local may = due and now < tonumber(due)
local number = 0
for i = 4, #KEYS, 2 do
  if may and redis.call('EXISTS', KEYS[i + 1]) == 1 then
    redis.call('RENAME', KEYS[i + 1], KEYS[i])
    local status, origin = unpack(redis.call('HMGET', KEYS[i], 'status', 'origin'))
    if status == 'queued' or status == 'started' then
      local queue, id = ARGV[2] .. origin, ARGV[i / 2 + 1]
      if status == 'started' then redis.call('HSET', KEYS[i], 'status', 'queued') end
      if not redis.call('LPOS', queue, id) then redis.call('LPUSH', queue, id) end
    end
  end
  number = number + redis.call('EXISTS', KEYS[i])
end
if may then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('EXPIRE', KEYS[2], 60)
end
return number
"""


@dataclass(frozen=True)
class Deletion:
    """Detections that are hidden, and will be deleted.

    owner: who asked for it, and alone may undo it.
    filename: the first one's.
    """

    id: str
    owner: str
    filename: str
    detections: Sequence[str]


class _HiddenJob(Job):
    """A job whose record is not where RQ looks for it."""

    def _fetch_status(self) -> RqStatus:
        return self.get_status(refresh=False)


class Deletions:
    """The deletions of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(
        self, connection: redis.Redis, settings: Settings, delete_pictures: Callable[[str], None]
    ) -> None:
        """delete_pictures: deletes all that is stored under an id."""
        self._connection = connection
        self._delete_pictures = delete_pictures
        self._jobs = Jobs(connection, settings)
        self._history = History(connection, settings.retention_seconds)
        self._batches = Batches(connection, settings.retention_seconds)
        self._share_links = ShareLinks(connection, settings.retention_seconds)
        self._hide = connection.register_script(_HIDE)
        self._undo = connection.register_script(_UNDO)

    def now(self, record: Record) -> None:
        """Forget a detection and its picture at once.

        The picture goes first: whoever has to repeat this still finds the record, and a record without its
        picture ends by itself.
        """
        self._delete_pictures(record.id)
        self._jobs.delete(record.id, also=lambda pipeline: self._leave(record.id, record.owner, pipeline))

    def later(self, records: Sequence[Record], owner: str) -> None:
        """Hide detections at once and delete them in a while, until which their owner can undo it.

        A batch goes with the last of its detections.
        """
        ids = tuple(record.id for record in records)
        deletion = Deletion(new_id(), owner, records[0].filename, ids)
        due = UNDO_SECONDS + _GRACE_SECONDS
        with reaching_redis():
            self._hide(_keys(deletion), [deletion.id, json.dumps(asdict(deletion)), due])

    def recent(self, owner: str) -> list[tuple[Deletion, float]]:
        """Return an owner's deletions that can be undone, newest first, and for how many seconds each can."""
        with reaching_redis():
            with self._connection.pipeline() as pipeline:
                pipeline.time()
                pipeline.zrange(_owners_key(owner), 0, -1, desc=True, withscores=True)
                time, due = pipeline.execute()
            left = {id.decode(): moment - _GRACE_SECONDS - _seconds(time) for id, moment in due}
            found = [(self._read(id), seconds) for id, seconds in left.items() if seconds > 0]
        return [(deletion, seconds) for deletion, seconds in found if deletion is not None]

    def undo(self, owner: str, id: str) -> int:
        """Return how many detections are there again: none where it is too late."""
        with reaching_redis():
            deletion = self._read(id)
            if deletion is None or deletion.owner != owner:
                return 0
            words = [id, Queue.redis_queue_namespace_prefix, *deletion.detections]
            return cast(int, self._undo(_keys(deletion), words))

    def hides(self, id: str) -> bool:
        """Tell whether a detection is hidden, and may yet be there again."""
        with reaching_redis():
            return bool(self._connection.exists(hidden_key(id)))

    def carry_out(self, *, seconds: float = math.inf) -> None:
        """Delete what is due, or as much of it as can be done in so many seconds; the rest stays listed.

        Raises StorageUnavailable where a picture can't be deleted; it stays listed, too.
        """
        end = time.monotonic() + seconds
        with reaching_redis():
            now = _seconds(self._connection.time())
            for id in cast(list[bytes], self._connection.zrangebyscore(_DUE, "-inf", now)):
                deletion = self._read(id.decode())
                if deletion is not None and not self._is_carried_out(deletion, end):
                    return
                self._connection.zrem(_DUE, id)

    def _is_carried_out(self, deletion: Deletion, end: float) -> bool:
        """Delete what is hidden, one after the other; return whether all is gone before the time is up."""
        for id in deletion.detections:
            fields = cast(dict[bytes, Any], self._connection.hgetall(hidden_key(id)))
            if not fields:
                continue
            if time.monotonic() >= end:
                return False
            self._delete_pictures(id)
            job = _HiddenJob(id, connection=self._connection, serializer=Serializer)
            job.restore(fields)
            with self._connection.pipeline() as pipeline:
                self._jobs.forget(job, pipeline)
                self._leave(id, job.meta.get("owner"), pipeline)
                pipeline.delete(hidden_key(id))
                pipeline.execute()
        for batch in set(self._batches.of_detections(deletion.detections).values()):
            self._forget_if_empty(batch)
        self._connection.delete(_deletion_key(deletion.id))
        return True

    def _forget_if_empty(self, id: str) -> None:
        with suppress(UnknownDetection):
            ids = self._batches.find(id).detections
            if not self._connection.exists(*map(job_key, ids), *map(hidden_key, ids)):
                self._batches.delete(id)
                with self._connection.pipeline() as pipeline:
                    self._share_links.withdraw(id, pipeline)
                    pipeline.execute()

    def _leave(self, id: str, owner: str | None, pipeline: Pipeline) -> None:
        self._share_links.withdraw(id, pipeline)
        if owner is not None:
            self._history.remove(owner, id, pipeline)

    def _read(self, id: str) -> Deletion | None:
        data = self._connection.get(_deletion_key(id))
        if data is None:
            return None
        return Deletion(**{**json.loads(cast(bytes, data)), "id": id})


def _seconds(time: tuple[int, int]) -> float:
    """Return the time as Redis tells it, in seconds and microseconds, as it is in scores."""
    return time[0] + time[1] / 1_000_000


def _keys(deletion: Deletion) -> list[str]:
    pairs = [key for id in deletion.detections for key in (job_key(id), hidden_key(id))]
    return [_DUE, _deletion_key(deletion.id), _owners_key(deletion.owner), *pairs]


def _deletion_key(id: str) -> str:
    return f"flask-detector:deletion:{id}"


def _owners_key(owner: str) -> str:
    return f"flask-detector:deletions-of:{owner}"
