"""Batches: pictures that were sent together."""

from collections.abc import Sequence
from contextlib import suppress

from flask import Response, jsonify, request

from flask_detector import errors as e
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.records import Record
from flask_detector.structures.detections import Detections
from flask_detector.structures.labels import asked_labels
from flask_detector.web.api.files import format_named, known_labels
from flask_detector.web.api.operations import DELETED, Success, delete, get
from flask_detector.web.api.params import ExportQuery, WaitHeaders, from_fields
from flask_detector.web.api.responses import BatchResponse, batch_response
from flask_detector.web.core import archives, long_poll
from flask_detector.web.core.auth import owner_of_request
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View


@get(
    "/batches/<id>",
    responses={200: Success("The batch", BatchResponse)},
    errors=(e.UnknownDetection,),
    headers=WaitHeaders,
    example="$API/batches/$BATCH",
)
def show_batch(id: str) -> Response:
    """Get a batch."""
    batch, seconds = find_batch(id), long_poll.seconds_to_wait()
    records = long_poll.wait_for_all(batch.detections, seconds)
    return long_poll.describe(jsonify(batch_response(batch, records)), seconds)


@get(
    "/batches/<id>/exports/<format>",
    responses={200: Success("A ZIP of the data set", media_types=("application/zip",))},
    errors=(e.BadParameter, e.UnknownDetection, e.UnknownFormat, e.UnknownLabel, e.DetectionNotFinished),
    query=ExportQuery,
    example="-OJ $API/batches/$BATCH/exports/yolo",
)
def export_batch(id: str, format: str) -> Response:
    """Export a batch as one dataset, with its pictures.

    What failed or is deleted is not in it, which a file in it says.
    """
    batch = find_batch(id)
    format_named(format)
    query = from_fields(ExportQuery, request.args)
    records = service().jobs.find_all(batch.detections)
    if not all(record.status.is_final for record in records):
        raise e.DetectionNotFinished("This batch has detections that have not ended yet.")
    if query.classes is not None:
        _check_labels(query.classes, records)

    def view_of(found: Detections) -> View:
        shown = found.labels if query.classes is None else asked_labels(query.classes, found.labels)
        return View(query.min_score, frozenset(found.labels).difference(shown))

    selected = archives.Selected(batch, records)
    return archives.data_set(service(), selected, format, view_of, corrected=query.corrected)


def _check_labels(texts: list[str], records: Sequence[Record]) -> None:
    """Raise UnknownLabel for a label that none of the models has that were used for these detections."""
    labels: dict[str, None] = {}
    unknown: e.UnknownLabel | None = None
    for record in records:
        with suppress(e.DetectionError):  # failed, or deleted meanwhile: it is left out
            labels |= dict.fromkeys(service().jobs.result_form(record.id)["labels"])
            try:
                known_labels(texts, list(labels))
            except e.UnknownLabel as error:
                unknown = error
            else:
                return
    if unknown is not None:
        raise unknown


@delete(
    "/batches/<id>",
    responses={204: DELETED},
    errors=(e.UnknownDetection,),
    example="-X DELETE $API/batches/$BATCH",
)
def remove_batch(id: str) -> tuple[str, int]:
    """Delete a batch with its detections and their pictures."""
    service().delete_all(service().jobs.find_all(find_batch(id).detections))
    service().batches.delete(id)
    return "", 204


def find_batch(id: str) -> Batch:
    """Return a batch that the request may see; raises UnknownDetection."""
    batch = service().batches.find(id)
    if batch.owner is not None and batch.owner != owner_of_request():
        raise e.UnknownDetection("There is no such batch.")
    return batch
