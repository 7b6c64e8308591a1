"""Detections: send pictures, see what became of them, forget them."""

from contextlib import closing

from flask import Response, jsonify, request, url_for

from flask_detector import errors as e
from flask_detector import guarded_http
from flask_detector.detectors import AUTO
from flask_detector.jobs.records import Record
from flask_detector.web.api import idempotency, uploads
from flask_detector.web.api.files import known_labels
from flask_detector.web.api.operations import JSON, Answer, Operation, delete, get, post
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
    BatchAnswer,
    DetectionAnswer,
    Page,
    batch_answer,
    detection_answer,
    entry,
)
from flask_detector.web.core import errors, long_poll
from flask_detector.web.core import sse as news
from flask_detector.web.core.auth import find, owner_of_request
from flask_detector.web.core.etags import send_if_changed
from flask_detector.web.core.responses import unkept
from flask_detector.web.core.service import Wishes, service

_MISSING = (e.UnknownDetection, e.DetectionExpired)
_LOCATION = {"Location": "The address of the detection, or of the batch."}
_APPLIED = {"Preference-Applied": "The time that was waited at most, where Prefer asked for it."}


@post(
    "/detections",
    Operation(
        summary="Send a picture, or several as a batch",
        tag="Detections",
        answers={
            200: Answer(
                "It has ended, with its result (asked for with Prefer); or the batch has",
                DetectionAnswer | BatchAnswer,
                headers={**_LOCATION, **_APPLIED},
            ),
            202: Answer("It is accepted", DetectionAnswer | BatchAnswer, headers={**_LOCATION, **_APPLIED}),
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
            uploads.FORM: MultipartPictures,
            JSON: JsonPicture,
            "application/octet-stream": None,
            "image/*": None,
        },
        example="-H 'Prefer: wait=30' -F picture=@picture.jpg -F min_score=0.4 $API/detections",
    ),
)  # fmt: skip
def create() -> Response:
    """Take a picture in, or several; wait for their end where that is asked for."""
    with closing(uploads.read()) as brought:
        return (
            _send_batch(_made(brought))
            if len(brought.pictures) > 1
            else _send_new(_made(brought), brought.options)
        )


def _made(brought: uploads.Sent) -> str:
    """Return the id of the detection, or of the batch, that the request makes or has made before."""
    options = brought.options
    if options.callback_url is not None:
        guarded_http.check(options.callback_url, allow_private=service().settings.allow_private_addresses)
    if options.classes is not None:
        name = service().default_model() if options.model == AUTO else options.model
        options.classes = known_labels(options.classes, service().models.labels(name))
    claim, made = idempotency.look_up(brought)
    if made is not None:
        return made
    wishes: Wishes = {
        "model": options.model,
        "min_score": options.min_score,
        "owner": owner_of_request(),
        "classes": options.classes,
        "masks": options.masks,
        "callback_url": options.callback_url,
    }
    if len(brought.pictures) > 1:
        return service().accept_all(brought.pictures, claim=claim, **wishes)
    source, filename = brought.pictures[0]
    return service().accept(source, filename=filename, claim=claim, **wishes)


def _send_new(id: str, options: Options) -> Response:
    seconds = long_poll.wished_seconds()
    record = long_poll.wait_for([id], seconds)[0] if seconds else service().jobs.find(id)
    address = url_for("api.show", id=id)
    if seconds and record.failure is not None:
        response = errors.answer(record.failure.to_error())
    else:
        response = unkept(jsonify(detection_answer(record, options.masks)))
        response.status_code = 200 if record.status.is_final else 202
    return long_poll.tell(response, seconds, address)


def _send_batch(id: str) -> Response:
    seconds = long_poll.wished_seconds()
    batch = service().batches.find(id)
    records = long_poll.wait_for(batch.detections, seconds)
    response = unkept(jsonify(batch_answer(batch, records)))
    response.status_code = 200 if all(record.status.is_final for record in records) else 202
    return long_poll.tell(response, seconds, url_for("api.show_batch", id=id))


@get(
    "/detections",
    Operation(
        summary="List the detections of your API key, newest first",
        tag="Detections",
        answers={200: Answer("A page of the list", Page)},
        errors=(e.BadParameter, e.KeyMissing),
        query=ListQuery,
        example="-H \"Authorization: Bearer $KEY\" '$API/detections?limit=5'",
    ),
)
def index() -> Response:
    """Send a page of a key's own detections."""
    owner = owner_of_request()
    if owner is None:
        raise e.KeyMissing("There is only a list of an API key's own detections.")
    wishes = from_fields(ListQuery, request.args)
    ids, cursor = service().history.page(owner, wishes.cursor, wishes.limit)
    page: Page = {"detections": [entry(r) for r in service().jobs.find_all(ids)], "next_cursor": cursor}
    return unkept(jsonify(page))


@get(
    "/detections/<id>",
    Operation(
        summary="Fetch a detection as it stands, with its result once it is done",
        tag="Detections",
        answers={
            200: Answer(
                "The detection",
                DetectionAnswer,
                headers={"ETag": "Once it has ended: what identifies this content.", **_APPLIED},
            ),
            304: Answer("The client has it already", media_types=()),
        },
        errors=(e.BadParameter, *_MISSING),
        query=ShowQuery,
        headers=WaitHeaders,
        example="$API/detections/$ID",
    ),
)
def show(id: str) -> Response:
    """Send a detection, once it has ended where that is asked for."""
    record: Record = find(id)
    wishes = from_fields(ShowQuery, request.args)
    seconds = long_poll.wished_seconds()
    if seconds:
        record = long_poll.wait_for([id], seconds)[0]
    response = jsonify(detection_answer(record, wishes.masks))
    response = send_if_changed(response) if record.status.is_final else unkept(response)
    return long_poll.tell(response, seconds)


@get(
    "/detections/<id>/events",
    Operation(
        summary="Listen to a detection: server-sent events until it has ended",
        tag="Detections",
        answers={
            200: Answer(
                "Events of the name `state`, with JSON of `status`, `position`, `stage` and `final`",
                media_types=("text/event-stream",),
            )
        },
        errors=_MISSING,
        example="-N $API/detections/$ID/events",
    ),
)
def events(id: str) -> Response:
    """Send the detection's state now and whenever it changes."""
    return news.listen(find(id))


@post(
    "/detections/<id>/cancel",
    Operation(
        summary="Cancel a detection; no matter if it has ended",
        tag="Detections",
        answers={200: Answer("The detection as it stands then", DetectionAnswer)},
        errors=_MISSING,
        example="-X POST $API/detections/$ID/cancel",
    ),
)
def cancel(id: str) -> Response:
    """Take a detection out of the queue, or drop its result."""
    service().jobs.cancel(find(id).id)
    return unkept(jsonify(detection_answer(find(id))))


@delete(
    "/detections/<id>",
    Operation(
        summary="Delete a detection and its picture now",
        tag="Detections",
        answers={204: Answer("It is deleted", media_types=())},
        errors=_MISSING,
        example="-X DELETE $API/detections/$ID",
    ),
)
def remove(id: str) -> tuple[str, int]:
    """Delete a detection and its picture."""
    service().delete(find(id))
    return "", 204
