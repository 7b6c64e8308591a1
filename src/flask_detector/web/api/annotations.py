"""The objects of a detection as a person corrects them."""

from flask import Response, request

from flask_detector import errors as e
from flask_detector.web.api.operations import JSON, UNCHANGED, Success, delete, get, post, put
from flask_detector.web.api.params import AnnotationHeaders, AnnotationsQuery, FileHeaders, from_fields
from flask_detector.web.api.responses import AnnotationDocument, BoxAndLabel, BoxMask
from flask_detector.web.core import annotations
from flask_detector.web.core.auth import find, key_of_request

ETAG = {"ETag": "Which version this is: send it as If-Match with a change."}
_MISSING = (e.UnknownDetection, e.DetectionExpired, e.DetectionNotFinished, e.DetectionFailed)
CONDITIONS = (e.IfMatchMissing, e.ChangedMeanwhile)


@get(
    "/detections/<id>/annotations",
    responses={200: Success("The annotations", AnnotationDocument, headers=ETAG), 304: UNCHANGED},
    errors=(e.BadParameter, *_MISSING),
    query=AnnotationsQuery,
    headers=FileHeaders,
    example="-i $API/detections/$ID/annotations",
)
def show_annotations(id: str) -> Response:
    """Get a detection's objects as a person has corrected them, or as the model said."""
    query = from_fields(AnnotationsQuery, request.args)
    return annotations.show(find(id), query.masks, query.min_score)


@put(
    "/detections/<id>/annotations",
    responses={200: Success("The annotations as they are kept", AnnotationDocument, headers=ETAG)},
    errors=(e.BadAnnotations, e.BadParameter, e.RequestTooLarge, *CONDITIONS, *_MISSING),
    headers=AnnotationHeaders,
    body={JSON: AnnotationDocument},
    example="-X PUT -H 'If-Match: *' --json @annotations.json $API/detections/$ID/annotations",
)
def save_annotations(id: str) -> Response:
    """Correct a detection's objects."""
    return annotations.save(find(id), client())


@delete(
    "/detections/<id>/annotations",
    responses={200: Success("What the model said", AnnotationDocument, headers=ETAG)},
    errors=(*CONDITIONS, *_MISSING),
    headers=AnnotationHeaders,
    example="-X DELETE -H 'If-Match: *' $API/detections/$ID/annotations",
)
def withdraw_annotations(id: str) -> Response:
    """Go back to what the model said."""
    return annotations.withdraw(find(id), client())


@post(
    "/detections/<id>/annotations/mask",
    responses={200: Success("The mask", BoxMask)},
    errors=(
        e.BadAnnotations, e.NoMaskHead, e.ModelNotInstalled, e.QueueFull, e.ServiceError,
        e.StorageUnavailable, *_MISSING,
    ),
    body={JSON: BoxAndLabel},
    example="--json '{\"box\": [10, 20, 200, 300], \"label\": \"cat\"}' $API/detections/$ID/annotations/mask",
)  # fmt: skip
def mask_of_box(id: str) -> Response:
    """Turn a box into a mask by the detection's own model."""
    return annotations.mask_of_box(find(id))


def client() -> str:
    """Return who changes annotations, in words."""
    key = key_of_request()
    return "a program" if key is None else f"the API key '{key.name}'"
