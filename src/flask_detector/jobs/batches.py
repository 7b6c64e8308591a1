"""Which detections were sent together."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import UnknownDetection
from flask_detector.jobs.keys import batch_of_key
from flask_detector.jobs.records import Failure


@dataclass(frozen=True)
class RefusedPicture:
    """A picture of a batch that was not accepted, and why."""

    filename: str
    failure: Failure


@dataclass(frozen=True)
class Batch:
    """Pictures that were sent together, in their order."""

    id: str
    owner: str | None
    detections: tuple[str, ...]
    refused: tuple[RefusedPicture, ...]


class Batches:
    """The batches of one Redis; each expires with its detections. Reading raises BrokerUnavailable."""

    def __init__(self, connection: redis.Redis, retention_seconds: int) -> None:
        self._connection = connection
        self._seconds = retention_seconds

    def add(self, batch: Batch, pipeline: Pipeline) -> None:
        """Put into a pipeline what keeps a batch."""
        self._put(batch, batch.detections, pipeline)

    def append(self, batch: Batch, id: str, pipeline: Pipeline) -> None:
        """Put into a pipeline what adds a detection to a batch, which is kept from then on at the latest."""
        self._put(replace(batch, detections=(*batch.detections, id)), (id,), pipeline)

    def _put(self, batch: Batch, new: Sequence[str], pipeline: Pipeline) -> None:
        document = {
            "owner": batch.owner,
            "detections": batch.detections,
            "refused": [asdict(one) for one in batch.refused],
        }
        pipeline.set(_key(batch.id), json.dumps(document), ex=self._seconds)
        for id in new:
            pipeline.set(batch_of_key(id), batch.id, ex=self._seconds)

    def find(self, id: str) -> Batch:
        """Return a batch; raises UnknownDetection."""
        with reaching_redis():
            data = self._connection.get(_key(id))
        if data is None:
            raise UnknownDetection("There is no such batch.")
        document: dict[str, Any] = json.loads(data)
        refused = tuple(
            RefusedPicture(one["filename"], Failure(**one["failure"])) for one in document["refused"]
        )
        return Batch(id, document["owner"], tuple(document["detections"]), refused)

    def of_detections(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the ids of the batches that detections were sent with, by the detections' ids."""
        with reaching_redis():
            found = cast(
                list[bytes | None], self._connection.mget([batch_of_key(id) for id in ids]) if ids else []
            )
        return {id: batch.decode() for id, batch in zip(ids, found, strict=True) if batch is not None}

    def exists(self, id: str) -> bool:
        """Tell whether there is a batch of that id."""
        with reaching_redis():
            return bool(self._connection.exists(_key(id)))

    def delete(self, id: str) -> None:
        """Forget which detections were sent together; they themselves stay."""
        with reaching_redis():
            self._connection.delete(_key(id))


def _key(id: str) -> str:
    return f"flask-detector:batch:{id}"
