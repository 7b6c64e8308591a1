"""Detections as jobs of RQ: to queue, look up, cancel and delete them.

The RQ job is the record of a detection. Beside it lie two small keys of ours: the stage that a running
detection is in, and a mark that outlives the record, so that "expired" can be told from "never existed".
"""

import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, cast

import redis
from redis.client import Pipeline
from rq import Queue, Retry
from rq.job import Job
from rq.results import Result

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import (
    DetectionExpired,
    DetectionFailed,
    DetectionNotFinished,
    UnknownDetection,
)
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs import corrections, deliveries
from flask_detector.jobs.admission import Admission, leave, share_of
from flask_detector.jobs.keys import corrections_key, job_key, mark_key, stage_key
from flask_detector.jobs.notifications import Notifications, channel_of
from flask_detector.jobs.records import DetectionRequest, Record
from flask_detector.jobs.rq_records import facts_of, record_of, status_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import CANCEL, TRIES, JobStatus
from flask_detector.jobs.transitions import Transitions
from flask_detector.jobs.workers import WorkerInfo, live_workers
from flask_detector.process.logs import request_id
from flask_detector.settings import Settings
from flask_detector.structures.boxes import Box
from flask_detector.structures.detections import Detections

# What RQ keeps as the function's name. Workers don't import by it, so that code may move while records wait.
TASK = "detect"
MASK_TASK = "mask"

# Somebody waits for a mask with a pointer in their hand: what comes later is of no use.
MASK_SECONDS = 20

_MARK_OUTLIVES_RECORD = 8  # times the retention

# A detection may be deleted while somebody waits for its end, or the link lost: look again this often.
_LOOK_AGAIN_SECONDS = 1.0

_ID = re.compile(r"[0-9a-f]{32}")


class Jobs:
    """The detections of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._queues = {
            name: Queue(name, connection=connection, serializer=Serializer) for name in settings.queues
        }
        self._admission = Admission(connection, settings)
        self._notifications = Notifications(connection)
        self._transitions = Transitions(connection)
        self.queue = self._queues[settings.queue]
        """The one that this host's workers take from."""

    @property
    def queues(self) -> list[Queue]:
        """All queues that pictures may be in."""
        return list(self._queues.values())

    def count(self) -> int:
        """Return how many pictures wait."""
        with reaching_redis():
            return sum(queue.count for queue in self.queues)

    def enqueue(
        self, id: str, filename: str, picture: PictureInfo, request: DetectionRequest, pipeline: Pipeline
    ) -> None:
        """Put into a pipeline what queues the picture that is stored under that id.

        filename: as it may be shown.
        """
        retention = self._settings.retention_seconds
        wishes: dict[str, Any] = {"model": request.model, "min_score": request.min_score}
        if request.classes is not None:
            wishes["classes"] = list(request.classes)
        share, url = share_of(request.client), request.callback_url
        self._queue_of(request.model).enqueue_call(
            TASK,
            kwargs=wishes,
            job_id=id,
            timeout=self._settings.job_timeout,
            ttl=retention,
            result_ttl=retention,
            failure_ttl=retention,
            description="detection",
            meta={
                "filename": filename,
                "picture": facts_of(picture),
                "owner": request.owner,
                "share": share,
                "receiver": None if url is None else deliveries.receiver_of(url),
                "masks": request.masks,
                "request": request_id.get(),
            },
            retry=Retry(max=TRIES - 1, enqueue_at_front=True),
            pipeline=pipeline,
        )
        pipeline.set(mark_key(id), request_id.get() or "", ex=retention * _MARK_OUTLIVES_RECORD)
        self._admission.take(share, id, pipeline)
        if url is not None:
            deliveries.expect(url, id, request.owner, retention, pipeline)

    def enqueue_mask(
        self, id: str, picture: str, filename: str, info: PictureInfo, *, model: str, box: Box, label: str
    ) -> None:
        """Queue, before all detections, that a model makes a mask of a box in a picture.

        It is a job as a detection is, with the same states and moves, under an id that nobody is told.

        picture: a detection's id, or the path of a file in the storage.
        """
        with reaching_redis():
            self._queue_of(model).enqueue_call(
                MASK_TASK,
                # A record has a minimum score.
                kwargs={
                    "model": model, "min_score": None, "picture": picture, "box": list(box), "label": label
                },
                job_id=id,
                timeout=self._settings.job_timeout,
                ttl=MASK_SECONDS,
                result_ttl=MASK_SECONDS,
                failure_ttl=MASK_SECONDS,
                description="mask",
                meta={
                    "filename": filename,
                    "picture": facts_of(info),
                    "request": request_id.get(),
                },
                retry=Retry(max=TRIES - 1, enqueue_at_front=True),
                at_front=True,
            )  # fmt: skip

    def check_room(self, model: str, client: str | None = None, *, more: int = 0) -> None:
        """Raise QueueFull, ShareUsedUp or ServiceError when a model's queue has no room for one more.

        more: how many pictures beside are about to be queued.
        """
        queue = self._queue_of(model)
        with reaching_redis():
            self._admission.check(
                queue.key,
                share_of(client),
                lambda: [one for one in self.workers() if one.queue == queue.name],
                more=more,
            )

    def check_memory(self) -> None:
        """Raise ServiceError where Redis has no memory to spare but for the results of what waits."""
        with reaching_redis():
            self._admission.check_memory()

    def _queue_of(self, model: str) -> Queue:
        return self._queues[self._settings.queue_of(model)]

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
                    retention_seconds=self._settings.retention_seconds,
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

    def cancel(self, id: str) -> None:
        """Take a detection out of the queue, or drop its result if it is running; no matter once it ended."""
        with reaching_redis():
            job = self._fetch(id)

            def write(pipeline: Pipeline) -> None:
                pipeline.lrem(self._queues[job.origin].key, 1, id)
                pipeline.expire(job_key(id), self._settings.retention_seconds)

            self._transitions.make(CANCEL, job, write)

    def delete(self, id: str, also: Callable[[Pipeline], None] = lambda pipeline: None) -> None:
        """Forget a detection, whatever it is doing; the mark stays and says that it existed.

        also: puts what is forgotten in the same step into a pipeline.
        """
        with reaching_redis(), self._connection.pipeline() as pipeline:
            self.forget(self._fetch(id), pipeline)
            also(pipeline)
            pipeline.execute()

    def drop(self, id: str) -> None:
        """Forget a detection of which nobody was told the id, without leaving the mark that it existed.

        One that runs goes on; its result is dropped. One that there isn't is no matter.
        """
        with reaching_redis(), self._connection.pipeline() as pipeline:
            with suppress(UnknownDetection, DetectionExpired):
                self.forget(self._fetch(id), pipeline)
            pipeline.delete(mark_key(id), stage_key(id))
            pipeline.execute()

    @staticmethod
    def forget(job: Job, pipeline: Pipeline) -> None:
        """Put into a pipeline what forgets a detection by its job, as it was fetched."""
        job.delete(pipeline=pipeline)
        leave(job.meta.get("share"), job.id, pipeline)
        deliveries.forget(job.meta.get("receiver"), job.id, pipeline)
        corrections.forget(job.id, pipeline)
        pipeline.publish(channel_of(job.id), "")

    def request_of(self, id: str) -> str | None:
        """Return the id of the request that brought a detection, also of one that has expired."""
        with reaching_redis():
            request = cast(bytes | None, self._connection.get(mark_key(id)))
        return request.decode() if request else None

    def exists(self, id: str) -> bool:
        """Tell whether there is a record under that id."""
        with reaching_redis():
            return Job.exists(id, self._connection)

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that were heard of lately, by host and process."""
        return live_workers(self._connection, self.queues)

    def stage(self, id: str) -> str | None:
        """Return what the detector is doing with a detection, as far as it has told."""
        stage = self._connection.get(stage_key(id))
        return stage.decode() if isinstance(stage, bytes) else None

    def set_stage(self, id: str, stage: str) -> None:
        """Tell those who wait for a detection what the detector is doing."""
        with self._connection.pipeline() as pipeline:
            pipeline.set(stage_key(id), stage, ex=self._settings.job_timeout)
            pipeline.publish(channel_of(id), "")
            pipeline.execute()

    def waiting(self, id: str) -> AbstractContextManager[Callable[[float], None]]:
        """Return a context, as `Notifications.waiting` does."""
        return self._notifications.waiting(id)

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


def new_id() -> str:
    """Return a new detection's id: 128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)
