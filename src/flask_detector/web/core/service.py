"""What pages and API do alike: take a picture in, look a detection up, forget it."""

import io
import time
from collections.abc import Sequence
from typing import BinaryIO, cast

import redis
from flask import current_app, has_request_context, request

from flask_detector.api_keys import Keys, key_id_of
from flask_detector.detectors import AUTO, ModelInfo, ModelState, model_store
from flask_detector.errors import DetectionExpired, NoPicture
from flask_detector.formats.file_names import shown_name
from flask_detector.imaging import decode
from flask_detector.jobs.collections import Shelf
from flask_detector.jobs.inspect import Overview
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.records import Record
from flask_detector.jobs.throughput import Pace
from flask_detector.settings import Settings
from flask_detector.storage.local import ORIGINAL, Storage
from flask_detector.structures.detections import MaskForm
from flask_detector.web.core.available_models import Offered
from flask_detector.web.core.render_slots import Places
from flask_detector.webhooks.queue import Deliveries

# A message that a detection has changed can be lost with a connection: look again this often, in seconds.
_LOOK_AGAIN_SECONDS = 2.0


class Service:
    """The application's one way to jobs, storage and models."""

    def __init__(self, settings: Settings, connection: redis.Redis, storage: Storage) -> None:
        self.settings = settings
        self.connection = connection
        self.jobs = Jobs(connection, settings)
        self.overview = Overview(connection, self.jobs)
        self.pace = Pace(connection)
        self.shelf = Shelf(connection, settings.retention_seconds)
        self.keys = Keys(connection)
        self.deliveries = Deliveries(connection, settings.retention_seconds)
        self.storage = storage
        self.models = model_store(settings)
        self.offered = Offered(self.models, self.jobs, settings)
        self.limits = decode.Limits(settings.max_upload_bytes, settings.max_pixels)
        self.places = Places(max(1, settings.web_threads // 4))

    def models_by_state(self) -> list[tuple[ModelInfo, ModelState]]:
        """Return all models that are known here, each with how far it is on its way to being used."""
        return self.offered.by_state()

    def default_model(self) -> str:
        """Return the name of the model that a picture gets whose sender names none."""
        return self.offered.default()

    def model_of(self, record: Record) -> str:
        """Return the name of the model that a detection is waiting for, as things stand."""
        return self.default_model() if record.model == AUTO else record.model

    def will_outline(self, record: Record) -> bool:
        """Tell whether the model that a detection is waiting for gives masks."""
        name = self.model_of(record)
        return any(info.name == name and info.has_masks for info in self.models.known())

    def accept(
        self,
        source: BinaryIO | None,
        *,
        filename: str | None,
        model: str = AUTO,
        min_score: float | None = None,
        owner: str | None = None,
        client: str | None = None,
        classes: Sequence[str] | None = None,
        masks: MaskForm = "rle",
        callback_url: str | None = None,
        id: str | None = None,
    ) -> str:
        """Check a picture, keep it and queue its detection; return the detection's id.

        client: whose part of the queue it takes; told by the owner or the request unless given.
        classes: the labels that alone are kept.
        masks: how programs are sent masks.
        callback_url: where to send word of its end; checked when it is sent.
        id: a new one unless given.

        Raises PictureError, ModelError or ServiceError; nothing is queued or kept then.
        """
        if source is None:
            raise NoPicture("No picture was sent.")
        if model != AUTO:
            self.offered.check(model)
        client = client or _client(owner)
        self.jobs.check_room(model, client)
        picture = decode.check(source, self.limits)
        source.seek(0)
        id = id or new_id()
        self.storage.put(id, ORIGINAL, source)
        try:
            self.jobs.enqueue(
                id,
                filename=shown_name(filename),
                picture=picture,
                model=model,
                min_score=min_score,
                owner=owner,
                client=client,
                classes=classes,
                masks=masks,
            )
            if callback_url is not None:
                self.deliveries.expect(id, callback_url, owner)
        except BaseException:
            self.storage.delete(id)
            raise
        if owner is not None:
            self.shelf.remember(owner, id)
        return id

    def wait_for(self, id: str, seconds: float) -> Record:
        """Return a detection once it has ended, or as it stands after that many seconds.

        Raises UnknownDetection or DetectionExpired, also when it is deleted meanwhile.
        """
        deadline = time.monotonic() + seconds
        with self.jobs.waiting(id, for_end=True) as wait:
            while not self.jobs.has_ended(id) and (left := deadline - time.monotonic()) > 0:
                wait(min(left, _LOOK_AGAIN_SECONDS))
        return self.jobs.find(id)

    def again(self, record: Record) -> str:
        """Queue a new detection of the same picture with the same wishes; return its id."""
        return self.accept(
            io.BytesIO(self.original(record.id)),
            filename=record.filename,
            model=record.model,
            min_score=record.min_score,
            owner=record.owner,
            classes=record.classes,
            masks=record.masks,
        )

    def delete(self, record: Record) -> None:
        """Forget a detection and its picture at once."""
        self.shelf.withdraw(record.id)
        if record.owner is not None:
            self.shelf.forget(record.owner, record.id)
        self.jobs.delete(record.id)
        self.storage.delete(record.id)

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


def _client(owner: str | None) -> str | None:
    """Return whose part of the queue a picture takes: an API key's, or else its network address's.

    A browser's own name is no use here: it gets a new one by forgetting its cookie.
    """
    if key_id_of(owner) is not None:
        return owner
    return request.remote_addr if has_request_context() else None
