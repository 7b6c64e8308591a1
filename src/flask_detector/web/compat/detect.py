"""Detection while the client waits: the one way of all dialects into the queue.

A detection made here is forgotten as soon as it is answered, with its picture: nobody knows its id, and a
camera would otherwise fill the disk with pictures that nobody can ask for.
"""

import io
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from flask_detector.detectors import AUTO, ModelInfo
from flask_detector.errors import (
    DetectionFailed,
    DetectionNotFinished,
    DetectorError,
    PictureError,
    ServiceError,
)
from flask_detector.imaging import encode
from flask_detector.jobs.records import DetectionRequest
from flask_detector.structures.detections import Detections
from flask_detector.visualization import annotate
from flask_detector.web.core.auth import known_key
from flask_detector.web.core.renditions import turn
from flask_detector.web.core.service import service

# Each client that waits keeps a thread of the web process busy: where nobody works, not for longer than this.
_PATIENCE_SECONDS = 5.0

log = logging.getLogger(__name__)

Picture = bytes | BinaryIO | None


def detect(picture: Picture, *, model: str = AUTO, min_score: float | None) -> Detections:
    """Return what is found in a picture.

    min_score: the lowest score to find, in 0..1 once it is cut to that; None for the model's usual one.

    Raises PictureError, ModelError, ServiceError, DetectionFailed, and DetectionNotFinished when it takes
    longer than the settings allow.
    """
    (outcome,) = detect_each([picture], model=model, min_score=min_score)
    if isinstance(outcome, PictureError):
        raise outcome
    return outcome


def detect_each(
    pictures: Iterable[Picture], *, model: str = AUTO, min_score: float | None
) -> list[Detections | PictureError]:
    """Return what is found in each picture, or why that one can't be used; raises what else `detect` raises.

    All of them are queued before the first is waited for, and share the time that one may take.
    """
    deadline = time.monotonic() + service().settings.compat_timeout
    key = known_key()
    client = None if key is None else key.owner
    model = service().settings.model_for(model)
    lowest = None if min_score is None else min(max(min_score, 0.0), 1.0)
    request = DetectionRequest(model, lowest, client=client)
    queued: list[str] = []
    outcomes: list[str | PictureError] = []
    try:
        for picture in pictures:
            try:
                source = io.BytesIO(picture) if isinstance(picture, bytes) else picture
                id = service().accept(source, request, filename=None)
            except PictureError as error:
                outcomes.append(error)
            else:
                queued.append(id)
                outcomes.append(id)
        return [_outcome(one, deadline) if isinstance(one, str) else one for one in outcomes]
    finally:
        for id in queued:
            _forget(id)


def _outcome(id: str, deadline: float) -> Detections | PictureError:
    left = max(0.0, deadline - time.monotonic())
    record, form = service().jobs.find_with_result(id, wait=min(left, _PATIENCE_SECONDS))
    if not record.status.is_final and left > _PATIENCE_SECONDS:
        if not service().jobs.workers():
            raise ServiceError("No worker is running.")
        record, form = service().jobs.find_with_result(id, wait=left - _PATIENCE_SECONDS)
    if form is not None:
        return Detections.from_json(form).over(form["shown_score"])
    if not record.status.is_final:
        limit = service().settings.compat_timeout
        raise DetectionNotFinished(f"The detection took longer than {limit:g} seconds.")
    if record.failure is None:
        raise DetectionFailed("The detection was cancelled.")
    error = record.failure.to_error()
    if isinstance(error, PictureError):
        return error
    raise error


def _forget(id: str) -> None:
    try:
        service().drop(id)
    except DetectorError as error:  # it expires by itself, and the workers sweep its picture up
        log.warning("a detection could not be deleted: %s", error)


def drawn(picture: bytes, found: Detections, picture_format: str = "JPEG") -> bytes:
    """Return the picture at full size with boxes, labels and masks, as a file of that format."""
    with turn(service(), picture):
        return encode.transcode(picture, service().limits, picture_format, annotate.Drawing(found).draw_on)[0]


@dataclass(frozen=True)
class Offer:
    """A model that can be asked for: what is known of it, and the names of its classes by class id."""

    info: ModelInfo
    labels: tuple[str, ...]


def offers() -> list[Offer]:
    """Return the installed models, the one that is used by default first."""
    default = service().available.default()
    names = sorted(service().models.installed(), key=lambda name: name != default)
    return [offer(name) for name in names]


def offer(name: str) -> Offer:
    """Return an installed model by its name, the settings' other names for it, or AUTO for the default one.

    Raises UnknownModel or ModelNotInstalled.
    """
    models = service().models
    name = service().settings.model_for(name)
    name = service().available.resolve(name)
    models.path(name)
    return Offer(models.info(name), models.labels(name))
