"""The files of a detection: its picture, the drawn one, and the exports."""

from collections.abc import Sequence

from flask import Response, request

from flask_detector.errors import (
    BadParameter,
    DetectionExpired,
    DetectionFailed,
    DetectionNotFinished,
    UnknownDetection,
    UnknownFormat,
    UnknownLabel,
)
from flask_detector.formats import FORMATS, Format
from flask_detector.jobs.records import Record
from flask_detector.structures.labels import asked_labels
from flask_detector.web.api.operations import UNCHANGED, Success, get
from flask_detector.web.api.params import DrawnQuery, ExportQuery, FileHeaders, from_fields
from flask_detector.web.core import renditions
from flask_detector.web.core.auth import find
from flask_detector.web.core.etags import send_once
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View

_PARTS = frozenset({"boxes", "masks", "labels"})
_OUTPUTS = {"jpg": "jpeg", "png": "png", "webp": "webp"}
_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif")
_ETAG = {"ETag": "What identifies this content: send it as If-None-Match."}
_MISSING = (UnknownDetection, DetectionExpired)
_NO_RESULT = (DetectionNotFinished, DetectionFailed)


@get(
    "/detections/<id>/image",
    responses={200: Success("The picture", media_types=_PICTURES, headers=_ETAG), 304: UNCHANGED},
    errors=_MISSING,
    headers=FileHeaders,
    example="-O $API/detections/$ID/image",
)
def image(id: str) -> Response:
    """Get the picture, upright and without its metadata."""
    record = find(id)
    return send_once(lambda: renditions.picture(service(), record), record)


@get(
    "/detections/<id>/drawn.<any(jpg,png,webp):suffix>",
    responses={
        200: Success(
            "The drawn picture", media_types=("image/jpeg", "image/png", "image/webp"), headers=_ETAG
        ),
        304: UNCHANGED,
    },
    errors=(BadParameter, UnknownLabel, *_MISSING, *_NO_RESULT),
    query=DrawnQuery,
    headers=FileHeaders,
    example="-O '$API/detections/$ID/drawn.jpg?min_score=0.5&show=boxes,labels'",
)
def drawn(id: str, suffix: str) -> Response:
    """Get the picture at full size with the detected objects drawn on it."""
    record = find(id)
    query = from_fields(DrawnQuery, request.args)
    hide = frozenset() if query.show is None else _PARTS.difference(query.show)
    view = _view(record, query, hide)
    return send_once(lambda: renditions.drawn(service(), record, view, output=_OUTPUTS[suffix]), record)


@get(
    "/detections/<id>/exports/<format>",
    responses={
        200: Success(
            "The file",
            media_types=tuple(dict.fromkeys(f.media_type for f in FORMATS.values())),
            headers=_ETAG,
        ),
        304: UNCHANGED,
    },
    errors=(BadParameter, UnknownLabel, UnknownFormat, *_MISSING, *_NO_RESULT),
    query=ExportQuery,
    headers=FileHeaders,
    example="-OJ $API/detections/$ID/exports/coco",
)
def export(id: str, format: str) -> Response:
    """Export a result in another program's format."""
    record = find(id)
    wanted = format_named(format)
    view = _view(record, from_fields(ExportQuery, request.args))
    return send_once(lambda: renditions.export(service(), record, view, wanted), record, as_download=True)


def format_named(name: str) -> Format:
    """Return the format of that name; raises UnknownFormat."""
    if name not in FORMATS:
        raise UnknownFormat(f"There is no format '{name[:30]}'.", hint=f"There are {', '.join(FORMATS)}.")
    return FORMATS[name]


def _view(record: Record, query: ExportQuery, hide: frozenset[str] = frozenset()) -> View:
    """Return the view that is asked for; raises UnknownLabel, or what has become of the detection."""
    labels = service().jobs.result_form(record.id, corrected=query.corrected)["labels"]
    off = frozenset[str]()
    if query.classes is not None:
        off = frozenset(labels).difference(known_labels(query.classes, labels))
    return View(query.min_score, off, hide, corrected=query.corrected)


def known_labels(texts: list[str], labels: Sequence[str]) -> list[str]:
    """Return the labels that are asked for; raises UnknownLabel for one that a model does not know."""
    asked = asked_labels(texts, labels)
    if unknown := [label for label in asked if label not in labels]:
        raise UnknownLabel(f"The model has no '{unknown[0][:50]}'.", field="classes")
    return asked
