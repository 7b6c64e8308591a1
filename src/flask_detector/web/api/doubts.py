"""What to correct next: the pictures of a collection that a model is least sure of."""

from typing import Annotated

from flask import Response, jsonify, request
from pydantic import Field
from typing_extensions import TypedDict

from flask_detector import errors as e
from flask_detector.collections.documents import Collection, Entry
from flask_detector.jobs.schema import ErrorFacts, failure_form
from flask_detector.web.api.collection_forms import ChoiceQuery, PictureResponse, picture_form
from flask_detector.web.api.collections import find_collection
from flask_detector.web.api.operations import Success, delete, get, post
from flask_detector.web.api.params import from_fields
from flask_detector.web.core import doubts
from flask_detector.web.core.collecting import Choice
from flask_detector.web.core.service import service

_ERRORS = (e.BadParameter, e.UnknownCollection, e.UnknownModel, e.ServiceError, e.StorageUnavailable)
_PATH = "/collections/<id>/doubts"


class DoubtsQuery(ChoiceQuery):
    """Which pictures, and which model."""

    model: Annotated[
        str | None,
        Field(
            description="By default the newest one taught from the collection, or else the server's default.",
            max_length=100,
        ),
    ] = None


class DoubtfulPicture(PictureResponse):
    """A picture of which a model is in doubt."""

    doubt: Annotated[float, Field(description="About how many objects are in doubt.")]


class DoubtsResponse(TypedDict):
    """What to correct next."""

    model: str
    left: Annotated[
        int, Field(description="How many pictures it is still to look at; 0 when it looks at none.")
    ]
    missing: Annotated[int, Field(description="At how many of these pictures it has not looked.")]
    error: Annotated[ErrorFacts | None, Field(description="Why it ended early.")]
    pictures: Annotated[list[DoubtfulPicture], Field(description="Those in doubt, most first.")]


@post(
    _PATH,
    responses={202: Success("It looks", DoubtsResponse)},
    errors=(*_ERRORS, e.ModelNotInstalled, e.QueueFull, e.ShareUsedUp),
    query=DoubtsQuery,
    example="-X POST '$API/collections/$COLLECTION/doubts?state=unseen'",
)
def look_at_pictures(id: str) -> tuple[Response, int]:
    """Have a model look at those pictures of a collection that it has not looked at.

    It does so one by one behind all detections. What it finds out is kept as long as results are.
    """
    collection, model = find_collection(id), _model(id)
    doubts.begin(service(), collection, model, _chosen(collection))
    return _answer(collection, model), 202


@get(
    _PATH,
    responses={200: Success("What is known by now", DoubtsResponse)},
    errors=_ERRORS,
    query=DoubtsQuery,
    example="'$API/collections/$COLLECTION/doubts?state=unseen'",
)
def show_doubts(id: str) -> Response:
    """List the pictures of a collection that a model is least sure of."""
    return _answer(find_collection(id), _model(id))


@delete(
    _PATH,
    responses={204: Success("It looks at no more", media_types=())},
    errors=_ERRORS,
    query=DoubtsQuery,
    example="-X DELETE $API/collections/$COLLECTION/doubts",
)
def stop_looking(id: str) -> tuple[str, int]:
    """Have a model look at no more pictures; what it has found out stays."""
    doubts.stop(service(), find_collection(id).id, _model(id))
    return "", 204


def _model(collection: str) -> str:
    model = from_fields(DoubtsQuery, request.args).model or doubts.model_for(service(), collection)
    service().models.info(model)
    return model


def _chosen(collection: Collection) -> list[Entry]:
    return Choice.of(request.args).of_entries(service().pictures.entries(collection.id))


def _answer(collection: Collection, model: str) -> Response:
    look, found = doubts.look_of(service(), collection.id, model), _chosen(collection)
    pictures: list[DoubtfulPicture] = [
        {**picture_form(collection.id, entry), "doubt": look.doubt(entry)}
        for entry in look.unsure_first(found)
    ]
    form: DoubtsResponse = {
        "model": model,
        "left": look.left,
        "missing": len(look.missing(found)),
        "error": None if look.failure is None else failure_form(look.failure),
        "pictures": pictures,
    }
    return jsonify(form)
