"""What a long list of detections needs of each: a part of its record, all read by one command."""

from dataclasses import dataclass
from typing import Any, cast

import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.jobs.keys import batch_of_key, history_key, job_key
from flask_detector.jobs.rq_records import status_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus

# For each id: the id, and what lies beside it.
_PARTS = ("#", f"{job_key('*')}->status", f"{job_key('*')}->meta", batch_of_key("*"))


@dataclass(frozen=True)
class Listed:
    """A detection in brief.

    model: the one that was used; None unless it is done.
    counts: how many instances each label has that is usually shown; None unless it is done.
    batch: the id of the batch that it was sent with, if it was with one.
    doubt: of the model, see `structures.doubt`; 0 unless it is done and nobody has corrected it.
    """

    id: str
    status: JobStatus
    filename: str
    model: str | None
    counts: dict[str, int] | None
    batch: str | None
    doubt: float = 0.0


class Listing:
    """The detections of one Redis in brief. Reading raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def of_owner(self, owner: str) -> list[Listed]:
        """Return the detections in an owner's history that there still are, newest first."""
        with reaching_redis():
            found = cast(
                list[Any],
                self._connection.sort(
                    history_key(owner), by="nosort", get=list(_PARTS), groups=True, desc=True
                ),
            )
        return [_listed(*parts) for parts in found if parts[1] is not None]


def _listed(id: bytes, status: bytes, data: bytes, batch: bytes | None) -> Listed:
    meta = Serializer.loads(data)
    return Listed(
        id.decode(),
        status_of(status.decode()),
        meta["filename"],
        meta.get("used_model"),
        meta.get("counts"),
        None if batch is None else batch.decode(),
        0.0 if meta.get("correction") else meta.get("doubt", 0.0),
    )
