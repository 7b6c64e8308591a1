"""Detections: create, list, follow, cancel and delete them."""

from contextlib import closing

from flask import Response, jsonify, request, url_for

from flask_detector import errors as e
from flask_detector import guarded_http
from flask_detector.jobs.records import DetectionRequest
from flask_detector.web.api import idempotency, uploads
from flask_detector.web.api.files import known_labels
from flask_detector.web.api.operations import DELETED, JSON, UNCHANGED, Success, delete, get, post
from flask_detector.web.api.params import (
    JsonPicture,
    ListQuery,
    MultipartPictures,
    Options,
    SendHeaders,
    ShowQuery,
    WaitHeaders,
    from_fields,
)
from flask_detector.web.api.responses import (
    BatchResponse,
    DetectionPage,
    DetectionResponse,
    batch_response,
    detection_response,
    summary_of,
)
from flask_detector.web.core import errors, long_poll, sse
from flask_detector.web.core.auth import find, owner_of_request
from flask_detector.web.core.etags import send_if_changed
from flask_detector.web.core.service import service

_MISSING = (e.UnknownDetection, e.DetectionExpired)
_APPLIED = {"Preference-Applied": "The longest wait, where Prefer asked for one."}
_CREATED = {"Location": "The URL of the detection, or of the batch.", **_APPLIED}


@post(
    "/detections",
    responses={
        200: Success("Ended within the wait asked for", DetectionResponse | BatchResponse, headers=_CREATED),
        202: Success("Accepted", DetectionResponse | BatchResponse, headers=_CREATED),
    },
    errors=(
        e.PictureError, e.NoPicture, e.EmptyPicture, e.NotAPicture, e.DamagedPicture, e.PictureTooLarge,
        e.TooManyPixels, e.TooManyPictures, e.RequestTooLarge, e.RequestError, e.BrokenForm,
        e.BadParameter, e.UnknownModel, e.ModelNotInstalled, e.UnknownLabel, e.KeyReused,
        e.AddressRefused, e.AddressUnreachable, e.QueueFull, e.StorageUnavailable, e.DetectionFailed,
        e.DetectionExpired,
    ),
    query=Options,
    headers=SendHeaders,
    body={
        uploads.FORM: MultipartPictures, JSON: JsonPicture, "application/octet-stream": None, "image/*": None,
    },
    example="-H 'Prefer: wait=30' -F picture=@picture.jpg -F min_score=0.4 $API/detections",
)  # fmt: skip
def create() -> Response:
    """Detect objects in a picture, or in several as a batch."""
    with closing(uploads.read()) as upload:
        id = _accept(upload)
    return _batch(id) if len(upload.pictures) > 1 else _detection(id, upload.options)


def _accept(upload: uploads.Upload) -> str:
    """Return the id of the detection or batch that the request creates, or created before."""
    options = upload.options
    if options.callback_url is not None:
        guarded_http.check(options.callback_url, allow_private=service().settings.allow_private_addresses)
    if options.classes is not None:
        name = service().available.resolve(options.model)
        options.classes = known_labels(options.classes, service().models.labels(name))
    claim, made = idempotency.look_up(upload)
    if made is not None:
        return made
    detection = DetectionRequest(
        options.model,
        options.min_score,
        options.classes,
        options.masks,
        owner=owner_of_request(),
        callback_url=options.callback_url,
    )
    if len(upload.pictures) > 1:
        return service().accept_all(upload.pictures, detection, claim=claim)
    source, filename = upload.pictures[0]
    return service().accept(source, detection, filename=filename, claim=claim)


def _detection(id: str, options: Options) -> Response:
    seconds = long_poll.seconds_to_wait()
    record, found = long_poll.wait_for(id, seconds)
    if seconds and record.failure is not None:
        response = errors.answer(record.failure.to_error())
    else:
        response = jsonify(detection_response(record, found, options.masks))
        response.status_code = 200 if record.status.is_final else 202
    return long_poll.describe(response, seconds, url_for("api.show", id=id))


def _batch(id: str) -> Response:
    seconds = long_poll.seconds_to_wait()
    batch = service().batches.find(id)
    records = long_poll.wait_for_all(batch.detections, seconds)
    response = jsonify(batch_response(batch, records))
    response.status_code = 200 if all(record.status.is_final for record in records) else 202
    return long_poll.describe(response, seconds, url_for("api.show_batch", id=id))


@get(
    "/detections",
    responses={200: Success("A page of the list", DetectionPage)},
    errors=(e.BadParameter, e.KeyMissing),
    query=ListQuery,
    example="-H \"Authorization: Bearer $KEY\" '$API/detections?limit=5'",
)
def index() -> Response:
    """List the detections of your API key, newest first."""
    owner = owner_of_request()
    if owner is None:
        raise e.KeyMissing("There is only a list of an API key's own detections.")
    query = from_fields(ListQuery, request.args)
    ids, cursor = service().history.page(owner, query.cursor, query.limit)
    page: DetectionPage = {
        "detections": [summary_of(r) for r in service().jobs.find_all(ids)],
        "next_cursor": cursor,
    }
    return jsonify(page)


@get(
    "/detections/<id>",
    responses={
        200: Success(
            "The detection",
            DetectionResponse,
            headers={"ETag": "Once it has ended: what identifies this content.", **_APPLIED},
        ),
        304: UNCHANGED,
    },
    errors=(e.BadParameter, *_MISSING),
    query=ShowQuery,
    headers=WaitHeaders,
    example="$API/detections/$ID",
)
def show(id: str) -> Response:
    """Get a detection, with its result once it is done."""
    find(id)
    query = from_fields(ShowQuery, request.args)
    seconds = long_poll.seconds_to_wait()
    record, found = long_poll.wait_for(id, seconds, corrected=query.corrected)
    response = jsonify(detection_response(record, found, query.masks))
    response = send_if_changed(response) if record.status.is_final else response
    return long_poll.describe(response, seconds)


@get(
    "/detections/<id>/events",
    responses={
        200: Success(
            "Events of the name `state`, with JSON of `status`, `position`, `stage`, `estimated_seconds` "
            "and `final`",
            media_types=("text/event-stream",),
        )
    },
    errors=_MISSING,
    example="-N $API/detections/$ID/events",
)
def events(id: str) -> Response:
    """Stream the state of a detection as server-sent events until it has ended."""
    return sse.listen(find(id))


@post(
    "/detections/<id>/cancel",
    responses={200: Success("The detection as it stands then", DetectionResponse)},
    errors=_MISSING,
    example="-X POST $API/detections/$ID/cancel",
)
def cancel(id: str) -> Response:
    """Cancel a detection; one that has ended stays as it is."""
    service().jobs.cancel(find(id).id)
    return jsonify(detection_response(*service().jobs.find_with_result(id)))


@delete(
    "/detections/<id>",
    responses={204: DELETED},
    errors=_MISSING,
    example="-X DELETE $API/detections/$ID",
)
def remove(id: str) -> tuple[str, int]:
    """Delete a detection and its picture."""
    service().delete(find(id))
    return "", 204
