"""What a long list of detections needs of each: a part of its record, all read in one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.jobs.keys import job_key
from flask_detector.jobs.rq_records import status_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus


@dataclass(frozen=True)
class Listed:
    """A detection in brief.

    model: the one that was used; None unless it is done.
    counts: how many instances each label has that is usually shown; None unless it is done.
    """

    id: str
    status: JobStatus
    filename: str
    model: str | None
    counts: dict[str, int] | None


class Listing:
    """The detections of one Redis in brief. Reading raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def find_all(self, ids: Sequence[str]) -> list[Listed]:
        """Return those of the detections that there still are, in the same order."""
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hmget(job_key(id), "status", "meta")
            found = pipeline.execute()
        return [
            _listed(id, status, meta)
            for id, (status, meta) in zip(ids, found, strict=True)
            if status is not None
        ]


def _listed(id: str, status: bytes, data: bytes) -> Listed:
    meta = Serializer.loads(data)
    return Listed(
        id, status_of(status.decode()), meta["filename"], meta.get("used_model"), meta.get("counts")
    )
