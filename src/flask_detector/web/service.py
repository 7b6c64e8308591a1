"""What pages and API do alike: take a picture in, look a detection up, give a drawn picture out."""

import io
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO, cast

import redis
from flask import current_app

from flask_detector import images, rendering
from flask_detector.detections import Detections
from flask_detector.detectors import AUTO, ModelInfo, ModelState, model_store
from flask_detector.errors import DetectionExpired, NoPicture
from flask_detector.formats import Format
from flask_detector.jobs import Jobs, new_id
from flask_detector.records import Record
from flask_detector.settings import Settings
from flask_detector.storage import ORIGINAL, Storage
from flask_detector.web.view import USUAL_VIEW, View, score

_FOR_BROWSER = "browser"
_LONGEST_NAME = 120


@dataclass(frozen=True)
class File:
    """Bytes to send, what they are, and what a downloaded file of them is called."""

    data: bytes
    media_type: str
    name: str


class Service:
    """The application's one way to jobs, storage and models."""

    def __init__(self, settings: Settings, connection: redis.Redis, storage: Storage) -> None:
        self.settings = settings
        self.jobs = Jobs(connection, settings)
        self.models = model_store(settings)
        self._storage = storage
        self._limits = images.Limits(settings.max_upload_bytes, settings.max_pixels)

    def models_by_state(self) -> list[tuple[ModelInfo, ModelState]]:
        """Return all models that are known here, each with how far it is on its way to being used."""
        return [(info, self.models.state(info.name)) for info in self.models.known()]

    def default_model(self) -> str:
        """Return the name of the model that a picture gets whose sender names none."""
        return self.models.ranked()[0] if self.settings.model == AUTO else self.settings.model

    def accept(
        self,
        source: BinaryIO | None,
        *,
        filename: str | None,
        model: str = AUTO,
        min_score: str | None = None,
    ) -> str:
        """Check a picture, keep it and queue its detection; return the detection's id.

        Raises PictureError, ModelError, BadParameter or ServiceError; nothing is queued or kept then.
        """
        if source is None:
            raise NoPicture("No picture was sent.")
        lowest = score(min_score, name="min_score")
        if model != AUTO:
            self.models.path(model)
        self.jobs.check_room()
        picture = images.check(source, self._limits)
        source.seek(0)
        id = new_id()
        self._storage.put(id, ORIGINAL, source)
        try:
            self.jobs.enqueue(
                id, filename=_shown_name(filename), picture=picture, model=model, min_score=lowest
            )
        except BaseException:
            self._storage.delete(id)
            raise
        return id

    def again(self, id: str) -> str:
        """Queue a new detection of the same picture with the same wishes; return its id."""
        record = self.jobs.find(id)
        copy = io.BytesIO(self._original(id))
        lowest = None if record.min_score is None else str(record.min_score)
        return self.accept(copy, filename=record.filename, model=record.model, min_score=lowest)

    def delete(self, id: str) -> None:
        """Forget a detection and its picture at once."""
        self.jobs.delete(id)
        self._storage.delete(id)

    def picture(self, id: str) -> File:
        """Return the picture upright, in a format that every browser shows, without its metadata."""
        record = self.jobs.find(id)
        try:
            data = self._storage.get(id, _FOR_BROWSER)
        except FileNotFoundError:
            data, _ = images.for_browser(*images.decode(self._original(id), self._limits))
            self._storage.put(id, _FOR_BROWSER, io.BytesIO(data))
        return File(data, images.media_type(images.format_of(data) or "JPEG"), record.filename)

    def drawn(self, id: str, view: View = USUAL_VIEW, *, for_browser: bool = False) -> File:
        """Return the picture at full size with what the view shows drawn on it, in the format of the upload.

        for_browser: in a format that every browser shows instead.
        """
        record = self.jobs.find(id)
        found, shown_score = self.result(id)
        picture, info = images.decode(self._original(id), self._limits)
        drawn = rendering.draw(
            picture,
            view.of_result(found, shown_score),
            show_boxes="boxes" not in view.hide,
            show_labels="labels" not in view.hide,
            show_masks="masks" not in view.hide,
        )
        if for_browser:
            data, media_type = images.for_browser(drawn, info)
        else:
            output = images.output_format(info.format)
            data, media_type = (
                images.encode(drawn, output, icc_profile=info.icc_profile),
                images.media_type(output),
            )
        suffix = media_type.partition("/")[2].replace("jpeg", "jpg")
        return File(data, media_type, f"detected_{PurePath(record.filename).stem}.{suffix}")

    def export(self, id: str, format: Format, view: View = USUAL_VIEW) -> File:
        """Return what the view shows of the result as a file of that format."""
        record = self.jobs.find(id)
        found, shown_score = self.result(id)
        data = format.write(view.of_result(found, shown_score), record.filename)
        return File(data, format.media_type, f"{PurePath(record.filename).stem}{format.suffix}")

    def result(self, id: str) -> tuple[Detections, float]:
        """Return all that was found, and the lowest score that is usually shown."""
        return self.jobs.result(id)

    def find(self, id: str) -> Record:
        """Return a detection as it stands; raises UnknownDetection or DetectionExpired."""
        return self.jobs.find(id)

    def _original(self, id: str) -> bytes:
        try:
            return self._storage.get(id, ORIGINAL)
        except FileNotFoundError as error:
            raise DetectionExpired("This detection and its picture have been deleted.") from error


def service() -> Service:
    """Return the service of the application that handles the current request."""
    return cast(Service, current_app.extensions["flask-detector"])


def _shown_name(filename: str | None) -> str:
    """Return the last part of a file's name as it may be shown: printable and not too long."""
    last = PurePath((filename or "").replace("\\", "/")).name
    printable = "".join(c for c in last if c.isprintable()).strip()
    if len(printable) > _LONGEST_NAME:
        stem, suffix = PurePath(printable).stem, PurePath(printable).suffix[:10]
        printable = stem[: _LONGEST_NAME - len(suffix)] + suffix
    return printable or "picture"
