"""Links that let anybody look at a detection or a batch, on a page, without a key."""

from flask import Response, jsonify, url_for
from typing_extensions import TypedDict

from flask_detector import errors as e
from flask_detector.web.api.batches import find_batch
from flask_detector.web.api.operations import Success, delete, post
from flask_detector.web.core.auth import find
from flask_detector.web.core.service import service

_MADE = "The link, the same one until it is withdrawn"
_WITHDRAWN = Success("It opens nothing any more", media_types=())


class Link(TypedDict):
    """A page for whoever has its URL."""

    url: str


@post(
    "/detections/<id>/link",
    responses={200: Success(_MADE, Link)},
    errors=(e.UnknownDetection, e.DetectionExpired),
    example="-X POST $API/detections/$ID/link",
)
def link_detection(id: str) -> Response:
    """Make a link to a detection's page, where nothing can be changed."""
    return _link("shared.show", key=service().share_links.create(find(id).id))


@delete(
    "/detections/<id>/link",
    responses={204: _WITHDRAWN},
    errors=(e.UnknownDetection, e.DetectionExpired),
    example="-X DELETE $API/detections/$ID/link",
)
def withdraw_detection_link(id: str) -> tuple[str, int]:
    """Withdraw the link to a detection."""
    service().withdraw(find(id).id)
    return "", 204


@post(
    "/batches/<id>/link",
    responses={200: Success(_MADE, Link)},
    errors=(e.UnknownDetection,),
    example="-X POST $API/batches/$BATCH/link",
)
def link_batch(id: str) -> Response:
    """Make a link to a batch's page, with its pictures and files, where nothing can be changed."""
    return _link("shared_batches.show", id=service().share_links.create(find_batch(id).id))


@delete(
    "/batches/<id>/link",
    responses={204: _WITHDRAWN},
    errors=(e.UnknownDetection,),
    example="-X DELETE $API/batches/$BATCH/link",
)
def withdraw_batch_link(id: str) -> tuple[str, int]:
    """Withdraw the link to a batch."""
    service().withdraw(find_batch(id).id)
    return "", 204


def _link(endpoint: str, **values: str) -> Response:
    form: Link = {"url": url_for(endpoint, _external=True, **values)}
    return jsonify(form)
