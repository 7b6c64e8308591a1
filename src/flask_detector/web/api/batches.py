"""Batches: pictures that were sent together."""

from flask import Response, jsonify, request

from flask_detector import errors as e
from flask_detector.jobs.batches import Batch
from flask_detector.web.api.files import format_named
from flask_detector.web.api.operations import Answer, Operation, delete, get
from flask_detector.web.api.params import ExportQuery, WaitHeaders, from_fields
from flask_detector.web.api.responses import BatchAnswer, batch_answer
from flask_detector.web.core import archives, long_poll
from flask_detector.web.core.auth import owner_of_request
from flask_detector.web.core.responses import unkept
from flask_detector.web.core.service import service


@get(
    "/batches/<id>",
    Operation(
        summary="Fetch a batch as it stands",
        tag="Batches",
        answers={200: Answer("The batch", BatchAnswer)},
        errors=(e.UnknownDetection,),
        headers=WaitHeaders,
        example="$API/batches/$BATCH",
    ),
)
def show_batch(id: str) -> Response:
    """Send a batch, once all of it has ended where that is asked for."""
    batch, seconds = _find(id), long_poll.wished_seconds()
    records = long_poll.wait_for(batch.detections, seconds)
    return long_poll.tell(unkept(jsonify(batch_answer(batch, records))), seconds)


@get(
    "/batches/<id>/exports/<format>",
    Operation(
        summary="Fetch what was found in a batch as one data set, with the pictures",
        tag="Batches",
        answers={200: Answer("A ZIP of the data set", media_types=("application/zip",))},
        errors=(e.BadParameter, e.UnknownDetection, e.UnknownFormat, e.DetectionNotFinished),
        query=ExportQuery,
        example="-OJ $API/batches/$BATCH/exports/yolo",
    ),
)
def export_batch(id: str, format: str) -> Response:
    """Send a data set; what failed or is deleted is not in it, which a file in it says."""
    batch = _find(id)
    format_named(format)
    wishes = from_fields(ExportQuery, request.args)
    records = service().jobs.find_all(batch.detections)
    if not all(record.status.is_final for record in records):
        raise e.DetectionNotFinished("This batch has detections that have not ended yet.")
    return archives.data_set(
        service(),
        archives.Selected(batch, records),
        format,
        min_score=wishes.min_score,
        classes=wishes.classes,
    )


@delete(
    "/batches/<id>",
    Operation(
        summary="Delete a batch with its detections and their pictures now",
        tag="Batches",
        answers={204: Answer("It is deleted", media_types=())},
        errors=(e.UnknownDetection,),
        example="-X DELETE $API/batches/$BATCH",
    ),
)
def remove_batch(id: str) -> tuple[str, int]:
    """Delete a batch and all that is in it."""
    for record in service().jobs.find_all(_find(id).detections):
        service().delete(record)
    service().batches.delete(id)
    return "", 204


def _find(id: str) -> Batch:
    batch = service().batches.find(id)
    if batch.owner is not None and batch.owner != owner_of_request():
        raise e.UnknownDetection("There is no such batch.")
    return batch
