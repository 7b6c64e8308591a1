"""Detections as jobs of RQ: to queue, cancel and delete them; `lookup` reads them.

The RQ job is the record of a detection. Beside it lie two small keys of ours: the stage that a running
detection is in, and a mark that outlives the record, so that "expired" can be told from "never existed".
"""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import redis
from redis.client import Pipeline
from rq import Queue, Retry
from rq.job import Job

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import DetectionExpired, UnknownDetection
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs import corrections, deliveries
from flask_detector.jobs.admission import Admission, leave, share_of
from flask_detector.jobs.keys import job_key, mark_key, stage_key
from flask_detector.jobs.lookup import Lookup
from flask_detector.jobs.notifications import Notifications, channel_of
from flask_detector.jobs.records import DetectionRequest
from flask_detector.jobs.rq_records import facts_of
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import CANCEL, TRIES
from flask_detector.jobs.transitions import Transitions
from flask_detector.jobs.workers import WorkerInfo, live_workers
from flask_detector.process.logs import request_id
from flask_detector.settings import Settings
from flask_detector.structures.boxes import Box

# What RQ keeps as the function's name. Workers don't import by it, so that code may move while records wait.
TASK = "detect"
MASK_TASK = "mask"
DOUBT_TASK = "doubt"

# Somebody waits for a mask with a pointer in their hand: what comes later is of no use.
MASK_SECONDS = 20

_MARK_OUTLIVES_RECORD = 8  # times the retention


class Jobs(Lookup):
    """The detections of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        queues = {name: Queue(name, connection=connection, serializer=Serializer) for name in settings.queues}
        super().__init__(connection, queues, settings.retention_seconds)
        self._settings = settings
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

    def enqueue_doubts(
        self, id: str, collection: str, model: str, client: str | None, pipeline: Pipeline
    ) -> None:
        """Put into a pipeline what queues that a model looks at pictures of a collection, see `jobs.doubts`.

        It counts as one picture of the client's share.
        """
        retention, share = self._settings.retention_seconds, share_of(client)
        self._queue_of(model).enqueue_call(
            DOUBT_TASK,
            kwargs={"model": model, "min_score": None, "collection": collection},
            job_id=id,
            timeout=self._settings.job_timeout,
            ttl=retention,
            result_ttl=retention,
            failure_ttl=retention,
            description="doubts",
            meta={
                "filename": "",
                "picture": facts_of(PictureInfo("", "", 0, 0)),
                "share": share,
                "request": request_id.get(),
            },
            retry=Retry(max=TRIES - 1, enqueue_at_front=True),
            pipeline=pipeline,
        )
        self._admission.take(share, id, pipeline)

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

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that were heard of lately, by host and process."""
        return live_workers(self._connection, self.queues)

    def set_stage(self, id: str, stage: str) -> None:
        """Tell those who wait for a detection what the detector is doing."""
        with self._connection.pipeline() as pipeline:
            pipeline.set(stage_key(id), stage, ex=self._settings.job_timeout)
            pipeline.publish(channel_of(id), "")
            pipeline.execute()

    def waiting(self, id: str) -> AbstractContextManager[Callable[[float], None]]:
        """Return a context, as `Notifications.waiting` does."""
        return self._notifications.waiting(id)


def new_id() -> str:
    """Return a new detection's id: 128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)
