"""Looking detections up: their records and results, as they stand or once they have ended."""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import redis
from rq import Queue
from rq.job import Job
from rq.results import Result

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import (
    DetectionExpired,
    DetectionFailed,
    DetectionNotFinished,
    UnknownDetection,
)
from flask_detector.jobs.keys import corrections_key, job_key, mark_key, stage_key
from flask_detector.jobs.records import Record
from flask_detector.jobs.rq_records import record_of, status_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import Detections

# A detection may be deleted while somebody waits for its end, or the link lost: look again this often.
_LOOK_AGAIN_SECONDS = 1.0

_ID = re.compile(r"[0-9a-f]{32}")


class Lookup:
    """What one Redis has of detections. Every method raises BrokerUnavailable when it can't be reached.

    queues: those that a detection may be in, by name.
    """

    def __init__(self, connection: redis.Redis, queues: Mapping[str, Queue], retention_seconds: int) -> None:
        self._connection = connection
        self._queues = queues
        self._retention_seconds = retention_seconds

    def find(self, id: str) -> Record:
        """Return a detection as it stands.

        Raises UnknownDetection or DetectionExpired.
        """
        with reaching_redis():
            return self._records([self._fetch(id)])[0]

    def find_with_result(
        self, id: str, *, corrected: bool = True, wait: float = 0
    ) -> tuple[Record, dict[str, Any] | None]:
        """Return a detection as it stands and, once it is done, all that was found, in one round trip.

        The result is in its JSON form, with the lowest score that is usually shown.

        corrected: as a person has corrected it, if one has; else as the model said.
        wait: for how many seconds to wait for its end first.

        Raises UnknownDetection or DetectionExpired, also when it is deleted meanwhile.
        """
        deadline, seen, has_ended = time.monotonic() + wait, b"0", False
        while not has_ended:
            left = deadline - time.monotonic()
            with reaching_redis():
                with self._connection.pipeline(transaction=False) as pipeline:
                    # What ends a detection writes into this stream; Redis does not begin the rest before.
                    block = math.ceil(1000 * min(left, _LOOK_AGAIN_SECONDS)) if left > 0 else None
                    pipeline.xread({Result.get_key(_checked(id)): seen}, block=block)
                    pipeline.hgetall(job_key(id))
                    pipeline.hget(corrections_key(id), "result")
                    entries, fields, correction = pipeline.execute()
                (record,) = self._records([self._job(id, fields)])
            seen = entries[-1][0] if entries else seen
            has_ended = record.status.is_final or left <= 0
        return record, self._restored(id, entries, correction if corrected else None)

    def find_all(self, ids: Sequence[str]) -> list[Record]:
        """Return those of the detections that there still are, in the same order."""
        with reaching_redis():
            jobs = Job.fetch_many(ids, connection=self._connection, serializer=Serializer)
            return self._records([job for job in jobs if job is not None])

    def _records(self, jobs: Sequence[Job]) -> list[Record]:
        """Return records of jobs, with what those that have not ended do, asked for all in one round trip."""
        unfinished: dict[str, JobStatus] = {}
        with self._connection.pipeline(transaction=False) as pipeline:
            for job in jobs:
                status = status_of(job.get_status(refresh=False))
                if status is JobStatus.QUEUED:
                    pipeline.lpos(self._queues[job.origin].key, job.id)
                elif status is JobStatus.RUNNING:
                    pipeline.get(stage_key(job.id))
                if not status.is_final:
                    unfinished[job.id] = status
            told = dict(zip(unfinished, pipeline.execute() if unfinished else (), strict=True))
        records = []
        for job in jobs:
            doing, said = unfinished.get(job.id), told.get(job.id)
            records.append(
                record_of(
                    job,
                    position=said if doing is JobStatus.QUEUED else None,
                    stage=said.decode() if doing is JobStatus.RUNNING and said is not None else None,
                    retention_seconds=self._retention_seconds,
                )
            )
        return records

    def result(self, id: str, *, corrected: bool = True) -> tuple[Detections, float]:
        """Return all that was found, and the lowest score usually shown, as `result_form` does."""
        form = self.result_form(id, corrected=corrected)
        return Detections.from_json(form), form["shown_score"]

    def result_form(self, id: str, *, corrected: bool = True) -> dict[str, Any]:
        """Return all that was found in its JSON form, with the lowest score that is usually shown.

        corrected: as a person has corrected it, if one has; else as the model said.

        Raises UnknownDetection, DetectionExpired, DetectionFailed or DetectionNotFinished.
        """
        record, form = self.find_with_result(id, corrected=corrected)
        if form is not None:
            return form
        if record.failure is not None:
            raise DetectionFailed(record.failure.message, hint=record.failure.hint)
        raise DetectionNotFinished("This detection has no result yet.")

    def result_forms(
        self, ids: Sequence[str], *, corrected: bool = True
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the ids and results, as `result_form` does, of those of the detections that are done."""
        with reaching_redis(), self._connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.xrevrange(Result.get_key(id), count=1)
                pipeline.hget(corrections_key(id), "result")
            found = pipeline.execute()
        for id, stream, correction in zip(ids, found[::2], found[1::2], strict=True):
            if (form := self._restored(id, stream, correction if corrected else None)) is not None:
                yield id, form

    def _restored(self, id: str, stream: list[Any], correction: bytes | None) -> dict[str, Any] | None:
        """Return the result that a detection's stream ends with, if it ended well, or its correction."""
        if not stream:
            return None
        if correction is not None:
            return cast(dict[str, Any], Serializer.loads(correction))
        key, fields = stream[-1]
        result = Result.restore(id, key.decode(), fields, self._connection, Serializer)
        return (result.return_value or {}) if result.type == Result.Type.SUCCESSFUL else None

    def request_of(self, id: str) -> str | None:
        """Return the id of the request that brought a detection, also of one that has expired."""
        with reaching_redis():
            request = cast(bytes | None, self._connection.get(mark_key(id)))
        return request.decode() if request else None

    def exists(self, id: str) -> bool:
        """Tell whether there is a record under that id."""
        with reaching_redis():
            return Job.exists(id, self._connection)

    def stage(self, id: str) -> str | None:
        """Return what the detector is doing with a detection, as far as it has told."""
        stage = self._connection.get(stage_key(id))
        return stage.decode() if isinstance(stage, bytes) else None

    def _fetch(self, id: str) -> Job:
        return self._job(id, cast(dict[bytes, bytes], self._connection.hgetall(job_key(_checked(id)))))

    def _job(self, id: str, fields: dict[bytes, bytes]) -> Job:
        """Return the job of an id with the fields that Redis has of it."""
        if fields:
            job = Job(id, connection=self._connection, serializer=Serializer)
            job.restore(fields)
            return job
        if self._connection.exists(mark_key(id)):
            raise DetectionExpired("This detection and its picture have been deleted.")
        raise UnknownDetection("There is no such detection.")


def _checked(id: str) -> str:
    """Return an id that may be one; raises UnknownDetection."""
    if not _ID.fullmatch(id):
        raise UnknownDetection("There is no such detection.")
    return id
