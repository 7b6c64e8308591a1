"""What pages and API share: accept pictures, look detections up, delete them."""

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

import redis
from flask import current_app, has_request_context, request
from redis.client import Pipeline

from flask_detector.api_keys import Keys, key_id_of
from flask_detector.broker.connection import reaching_redis
from flask_detector.collections.deletions import Deletions as CollectedDeletions
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections
from flask_detector.collections.store import Limits as CollectionLimits
from flask_detector.detectors import AUTO, model_store
from flask_detector.errors import (
    BrokerUnavailable,
    DetectionExpired,
    DetectorError,
    KeyReused,
    NoPicture,
    UnknownDetection,
)
from flask_detector.formats.file_names import shown_name
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.jobs.acceptance import Acceptance, Claim
from flask_detector.jobs.atomic import collected
from flask_detector.jobs.batches import Batch, Batches, RefusedPicture
from flask_detector.jobs.corrections import Corrections
from flask_detector.jobs.deletions import Deletions
from flask_detector.jobs.doubts import Doubts
from flask_detector.jobs.history import History
from flask_detector.jobs.inspect import Overview
from flask_detector.jobs.lessons import Lessons
from flask_detector.jobs.listing import Listing
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.records import DetectionRequest, Failure, Record
from flask_detector.jobs.same_picture import SamePicture
from flask_detector.jobs.share_links import ShareLinks
from flask_detector.jobs.throughput import DetectionTimes
from flask_detector.settings import Settings
from flask_detector.storage.base import ORIGINAL, Storage
from flask_detector.web.core.available_models import AvailableModels
from flask_detector.web.core.client_network import network_of
from flask_detector.web.core.forecast import Forecast
from flask_detector.web.core.model_changes import ModelChanges
from flask_detector.web.core.quota import Quota

log = logging.getLogger(__name__)

# Whatever the model finds, for whoever knows the id.
_PLAIN = DetectionRequest(AUTO)


@dataclass(frozen=True)
class _Kept:
    """A picture that is stored, and of which no detection is made yet."""

    id: str
    filename: str
    picture: decode.PictureInfo


class Service:
    """The application's one way to jobs, storage and models."""

    def __init__(self, settings: Settings, connection: redis.Redis, storage: Storage) -> None:
        self.settings = settings
        self.connection = connection
        self.jobs = Jobs(connection, settings)
        self.overview = Overview(connection, self.jobs)
        self.detection_times = DetectionTimes(connection)
        self.listing = Listing(connection)
        self.history = History(connection, settings.retention_seconds)
        self.batches = Batches(connection, settings.retention_seconds)
        self.share_links = ShareLinks(connection, settings.retention_seconds)
        self.same_picture = SamePicture(connection, settings.retention_seconds)
        self.corrections = Corrections(connection)
        self.keys = Keys(connection)
        self.acceptance = Acceptance(connection)
        self.storage = storage
        self.collections = Collections(storage, connection, CollectionLimits.of(settings))
        self.pictures = Pictures(self.collections)
        self.lessons = Lessons(connection)
        self.doubts = Doubts(connection, settings.retention_seconds)
        self.collected_deletions = CollectedDeletions(self.collections)
        self.deletions = Deletions(connection, settings, storage.delete)
        self.models = model_store(settings)
        self.available = AvailableModels(self.models, self.jobs, settings)
        self.forecast = Forecast(connection, self.jobs, self.available, self.seconds_by_model, settings)
        self.model_changes = ModelChanges(settings, connection, self.models, self.jobs)
        self.limits = Limits.of(settings)
        # Whoever draws, waits for a detection, fetches a picture or imports a data set keeps a thread busy.
        self.drawing = Quota(max(1, settings.web_threads // 4), is_reentrant=True)
        self.waiting = Quota(max(1, settings.web_threads // 2))
        self.importing = Quota(max(1, settings.web_threads // 8))
        self.fetching = Quota(max(1, settings.web_threads // 8))

    def seconds_by_model(self) -> dict[str, float]:
        """Return what a picture takes by model: of late, or else as it was measured."""
        return {**self.available.seconds(), **self.detection_times.by_model()}

    def model_of(self, record: Record) -> str:
        """Return the name of the model that a detection is waiting for, as things stand."""
        return self.available.resolve(record.model)

    def will_outline(self, record: Record) -> bool:
        """Return whether the model that a detection is waiting for gives masks."""
        name = self.model_of(record)
        return any(info.name == name and info.has_masks for info in self.models.known())

    def accept(
        self,
        source: BinaryIO | None,
        request: DetectionRequest = _PLAIN,
        *,
        filename: str | None,
        claim: Claim | None = None,
        also: Callable[[str, Pipeline], None] = lambda id, pipeline: None,
    ) -> str:
        """Check a picture, keep it and queue its detection; return the detection's id.

        claim: what the request goes by, if it may be repeated; it may be another request's detection then.
        also: puts into a pipeline what is written in the same step about the detection of that id.

        Raises PictureError, ModelError or ServiceError; nothing is queued or kept then. Only where the answer
        of Redis is lost all of it may be there.
        """
        request = self._checked(request)
        kept = self._keep(source, filename, request)
        return self._decide(kept.id, [kept], request, claim, also=lambda pipeline: also(kept.id, pipeline))

    def accept_all(
        self,
        pictures: Iterable[tuple[BinaryIO, str | None]],
        request: DetectionRequest,
        *,
        claim: Claim | None = None,
    ) -> str:
        """Take in what is good of several pictures with their names, as a batch; return the batch's id.

        The batch says why the others were not accepted. Raises as `accept` does where none was.
        """
        request = self._checked(request)
        kept: list[_Kept] = []
        refused: list[RefusedPicture] = []
        problems: list[DetectorError] = []
        try:
            for source, filename in pictures:
                try:
                    kept.append(self._keep(source, filename, request, more=len(kept)))
                except BrokerUnavailable:  # no picture's fault: all of the request may be repeated
                    raise
                except DetectorError as error:
                    problems.append(error)
                    refused.append(RefusedPicture(shown_name(filename), Failure.of(error)))
            if not kept:
                raise problems[0]
        except BaseException:
            self._discard(kept)
            raise
        batch = Batch(new_id(), request.owner, tuple(one.id for one in kept), tuple(refused))
        return self._decide(
            batch.id, kept, request, claim, also=lambda pipeline: self.batches.add(batch, pipeline)
        )

    def _checked(self, request: DetectionRequest) -> DetectionRequest:
        """Return the request with its client, where it names none; raises ModelError."""
        if request.model != AUTO:
            self.available.check(request.model)
        return request if request.client is not None else replace(request, client=client_of(request.owner))

    def _keep(
        self, source: BinaryIO | None, filename: str | None, request: DetectionRequest, *, more: int = 0
    ) -> "_Kept":
        """Check a picture and store it under a new id, if there is room for that and so many more."""
        if source is None:
            raise NoPicture("No picture was sent.")
        self.jobs.check_room(request.model, request.client, more=more)
        picture = decode.check(source, self.limits)
        source.seek(0)
        kept = _Kept(new_id(), shown_name(filename), picture)
        self.storage.put(kept.id, ORIGINAL, source)
        return kept

    def _decide(
        self,
        id: str,
        pictures: Sequence["_Kept"],
        request: DetectionRequest,
        claim: Claim | None,
        *,
        also: Callable[[Pipeline], None] = lambda pipeline: None,
    ) -> str:
        """Make detections of stored pictures in one step; return the id of what is there then.

        Pictures that are not used are deleted. Where the answer of Redis is lost they stay: either they are
        used, or workers sweep them away when they are as old as a record may be.
        """

        def write(pipeline: Pipeline) -> None:
            for one in pictures:
                self.jobs.enqueue(one.id, one.filename, one.picture, request, pipeline)
                if request.owner is not None:
                    self.history.add(request.owner, one.id, pipeline)
            also(pipeline)

        with reaching_redis():
            try:
                commands = collected(self.connection, write)
            except BaseException:
                self._discard(pictures)
                raise
            try:
                found = self.acceptance.decide(claim or Claim(id), id, commands)
            except (redis.ResponseError, KeyReused):
                self._discard(pictures)
                raise
        if found != id:
            self._discard(pictures)
        return found

    def _discard(self, pictures: Sequence["_Kept"]) -> None:
        for one in pictures:
            try:
                self.storage.delete(one.id)
            except DetectorError as error:  # workers sweep it away
                log.warning("a picture that is not used could not be deleted: %s", error)

    def again(self, record: Record, *, model: str | None = None) -> str:
        """Queue a new detection of the same picture with the same parameters; return its id.

        model: another one than before.

        Raises as `accept` does.
        """
        request = DetectionRequest(
            model or record.model, record.min_score, record.classes, record.masks, owner=record.owner
        )
        return self.accept(
            io.BytesIO(self.original(record.id)),
            request,
            filename=record.filename,
            also=lambda id, pipeline: self.same_picture.add(record.id, id, pipeline),
        )

    def delete(self, record: Record) -> None:
        """Forget a detection and its picture at once."""
        self.deletions.now(record)

    def delete_all(self, records: Iterable[Record]) -> None:
        """Forget several detections and their pictures; one that is gone meanwhile is no matter."""
        for record in records:
            with suppress(UnknownDetection, DetectionExpired):
                self.delete(record)

    def withdraw(self, id: str) -> None:
        """Let the link to a detection or a batch open nothing any more."""
        with reaching_redis(), self.connection.pipeline() as pipeline:
            self.share_links.withdraw(id, pipeline)
            pipeline.execute()

    def drop(self, id: str) -> None:
        """Forget a detection that the current request made for nobody, so that nothing of it remains."""
        self.jobs.drop(id)
        self.storage.delete(id)

    def original(self, id: str) -> bytes:
        """Return the picture as it came; raises DetectionExpired."""
        try:
            return self.storage.get(id, ORIGINAL)
        except FileNotFoundError as error:
            raise DetectionExpired("This detection and its picture have been deleted.") from error


def service() -> Service:
    """Return the service of the application that handles the current request."""
    return cast(Service, current_app.extensions["flask-detector"])


def client_of(owner: str | None) -> str | None:
    """Return whose part of the queue a picture takes: an API key's, or else its IP address's.

    A browser's own name is no use here: it gets a new one by forgetting its cookie.
    """
    if key_id_of(owner) is not None:
        return owner
    return network_of(request.remote_addr) or None if has_request_context() else None
