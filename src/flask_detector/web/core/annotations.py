"""Annotations in requests and responses: read and checked, conditional by their version.

What a collection keeps and what a detection's correction is obey the same: GET sends the version as ETag, a
write names the version that it replaces in If-Match, and is refused where another one is there meanwhile.
"""

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request

from flask_detector.errors import (
    BadAnnotations,
    IfMatchMissing,
    NoMaskHead,
    RequestTooLarge,
    ServiceError,
    UnknownDetection,
)
from flask_detector.imaging import decode
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.corrections import AS_THE_MODEL_SAID
from flask_detector.jobs.queue import MASK_SECONDS, new_id
from flask_detector.jobs.records import Record
from flask_detector.structures.annotation import Annotation, AnnotationError
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.detections import Detections, MaskEncoding, rings_of
from flask_detector.structures.masks import Mask
from flask_detector.structures.revisions import ANY, Revision, version_of
from flask_detector.web.core import request_bodies
from flask_detector.web.core.compression import compress
from flask_detector.web.core.etags import REVALIDATED
from flask_detector.web.core.service import service

# Of a body; a thousand objects with masks of a picture of 24 megapixels take some 3 MB.
_MOST_BYTES = 16_000_000
_MOST_KEYS = 500_000

_VERSION = re.compile("[0-9a-z]+")


def received(size: tuple[int, int]) -> Annotations:
    """Return the annotations that the request's body is; `size` is the picture's width and height.

    Raises BadAnnotations, which names the field, and RequestTooLarge.
    """
    document = _json()
    try:
        return Annotations.from_json(document, size=size)
    except AnnotationError as error:
        raise named(error) from error


def _json() -> Any:
    """Return what the request's body is; raises BadAnnotations and RequestTooLarge."""
    try:
        return json.loads(checked(request_bodies.whole()))
    except (ValueError, RecursionError) as error:
        raise BadAnnotations("The body is not JSON that can be read.", field="") from error


def checked(body: bytes) -> bytes:
    """Return the JSON of annotations as it can be parsed; raises RequestTooLarge and BadParameter."""
    if len(body) > _MOST_BYTES:
        raise RequestTooLarge(
            f"The annotations take more than {_MOST_BYTES // 1_000_000} MB, the most that is accepted.",
            hint="Send masks as run lengths; leave out those of objects that are as the model said.",
        )
    return request_bodies.checked_json(body, most_keys=_MOST_KEYS)


def named(error: AnnotationError) -> BadAnnotations:
    """Return the error that reports it to the sender."""
    return BadAnnotations(str(error), field=error.field)


def versions_to_replace() -> set[str]:
    """Return the versions of which the request replaces one, or ANY; raises IfMatchMissing."""
    tags = request.if_match
    if tags.star_tag:
        return {ANY}
    if not tags:
        raise IfMatchMissing("The request does not say which version it replaces.")
    # One that a proxy or our own compression has made a weak one still says which version it is.
    return {tag for tag in tags.as_set(include_weak=True) if tag and _VERSION.fullmatch(tag)}


def respond(document: dict[str, Any], revision: Revision) -> Response:
    """Send annotations with their version as ETag, or 304 where the client has it."""
    response = jsonify(document)
    response.set_etag(revision.version)
    response.headers["Cache-Control"] = REVALIDATED
    if revision.changed_at is not None:
        response.last_modified = datetime.fromisoformat(revision.changed_at)
    if request.method == "GET":
        response.make_conditional(request)
    return response if response.status_code == 304 else compress(response)


def show(record: Record, masks: MaskEncoding = "rle", min_score: float | None = None) -> Response:
    """Send a detection's annotations: its correction, or what the model said.

    min_score: of what the model said; None for the detection's own.

    Raises DetectionNotFinished or DetectionFailed.
    """
    revision, document = service().corrections.find(record.id)
    if document is None:
        found, shown_score = service().jobs.result(record.id, corrected=False)
        shown = found.over(shown_score if min_score is None else min_score)
        document = Annotations.from_detections(shown).to_json(masks=masks)
    elif masks != "rle":
        document = Annotations.from_json(document).to_json(masks=masks)
    return respond(document, revision)


def save(record: Record, by: str) -> Response:
    """Take the request's body as a detection's correction; send it as it is kept then.

    by: who changes it, in words.

    Raises BadAnnotations, IfMatchMissing, ChangedMeanwhile, RequestTooLarge, DetectionNotFinished,
    DetectionFailed, DetectionExpired or ServiceError; then nothing is changed.
    """
    replaces = versions_to_replace()
    service().jobs.check_memory()
    form = service().jobs.result_form(record.id, corrected=False)
    said = Annotations.from_detections(Detections.from_json(form))
    try:
        corrected = received((form["width"], form["height"])).agreeing_with(said)
    except AnnotationError as error:
        raise named(error) from error
    document = corrected.to_json()
    shown = corrected.to_detections(form["model"])
    result = shown.to_json() | {"timings_ms": form["timings_ms"], "shown_score": form["shown_score"]}
    revision = Revision(version_of(document), _now(), by)
    counts = shown.over(form["shown_score"]).counts()
    service().corrections.write(
        record.id, revision, replaces=replaces, counts=counts, document=document, result=result
    )
    return respond(document, revision)


def withdraw(record: Record, by: str) -> Response:
    """Go back to what the model said; send that.

    Raises as `save` does.
    """
    replaces = versions_to_replace()
    found, shown_score = service().jobs.result(record.id, corrected=False)
    service().corrections.write(
        record.id,
        Revision(AS_THE_MODEL_SAID, _now(), by),
        replaces=replaces,
        counts=found.over(shown_score).counts(),
    )
    return show(record)


def mask_of_box(record: Record) -> Response:
    """Send the mask that the detection's model makes of the box and label in the request's body.

    Raises NoMaskHead, BadAnnotations, DetectionNotFinished, DetectionFailed, ModelNotInstalled, QueueFull,
    ServiceError where no worker has answered in time, and what the worker fails with.
    """
    form = service().jobs.result_form(record.id, corrected=False)
    if not form["has_masks"]:
        raise NoMaskHead(f"The model {form['model']} finds boxes alone.")
    return _mask_of_box(record.id, record.filename, record.picture, form["model"])


def outliner(named: str | None = None) -> str | None:
    """Return a model that makes masks: the one of that name, or the default one, or else any."""
    usable = set(service().available.usable())
    found = [info.name for info in service().models.known() if info.has_masks and info.name in usable]
    return next((name for name in (named, service().available.default(), *found) if name in found), None)


def mask_of_collected_box(collection: str, picture: str) -> Response:
    """Send the mask that a model makes of the box and label in the request's body, of a collection's picture.

    It is the model that has found the picture's objects, if it makes masks.

    Raises NoMaskHead, BadAnnotations, UnknownCollection, UnknownPicture, QueueFull, ServiceError where no
    worker has answered in time, and what the worker fails with.
    """
    document = service().pictures.document(collection, picture)
    model = outliner(document["model"])
    if model is None:
        raise NoMaskHead("No model is installed that makes masks.")
    path = service().pictures.path(collection, picture)
    info = decode.check(io.BytesIO(service().pictures.picture(collection, picture)), service().limits)
    return _mask_of_box(path, document["file_name"], info, model)


def _mask_of_box(picture: str, filename: str, info: PictureInfo, model: str) -> Response:
    """Send the mask that a model makes of the box and label in the request's body.

    picture: as `Jobs.enqueue_mask` takes it.
    """
    asked = _asked_box((info.width, info.height))
    service().available.check(model)
    service().jobs.check_room(model)
    id = new_id()
    with service().waiting.held("Too many requests are waiting."):
        try:
            service().jobs.enqueue_mask(
                id, picture, filename, info, model=model, box=asked.box, label=asked.label
            )
            ended, result = service().jobs.find_with_result(id, wait=MASK_SECONDS)
        except UnknownDetection:
            result = None
        else:
            if ended.failure is not None:
                raise ended.failure.to_error()
        finally:
            service().jobs.drop(id)
    if result is None:
        raise ServiceError(f"No worker has made the mask within {MASK_SECONDS} seconds.")
    found = result["mask"]
    outlines = [] if found is None else rings_of(Mask.from_rle(found))
    return jsonify({"mask": found, "polygons": outlines})


def _asked_box(size: tuple[int, int]) -> Annotation:
    """Return the body's box and label as an object in a picture of that size; raises BadAnnotations."""
    form = _json()
    if not isinstance(form, dict) or not form.keys() <= {"box", "label"}:
        raise BadAnnotations("The body must be an object with a box and a label.", hint="", field="")
    document = {"version": 1, "width": size[0], "height": size[1], "objects": [{"id": "box", **form}]}
    try:
        return Annotations.from_json(document).objects[0]
    except AnnotationError as error:
        field = error.field.removeprefix("objects[0].")
        raise BadAnnotations(str(error).replace(error.field, field, 1), hint="", field=field) from error


def show_collected(collection: str, picture: str, masks: MaskEncoding = "rle") -> Response:
    """Send the annotations of a picture in a collection.

    Raises UnknownCollection, UnknownPicture or CollectionError.
    """
    kept, revision = service().pictures.annotations(collection, picture)
    return respond(kept.to_json(masks=masks), revision)


def save_collected(collection: str, picture: str, by: str) -> Response:
    """Take the request's body as the annotations of a picture in a collection; send it as it is kept then.

    Raises BadAnnotations, IfMatchMissing, ChangedMeanwhile, RequestTooLarge, CollectionFull, what
    `show_collected` raises, StorageUnavailable or ServiceError; then nothing is changed.
    """
    replaces = versions_to_replace()
    entry = service().pictures.entry(collection, picture)
    sent = received((entry.width, entry.height))
    try:
        document, revision = service().pictures.correct(collection, picture, sent, replaces=replaces, by=by)
    except AnnotationError as error:
        raise named(error) from error
    return respond(document, revision)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
