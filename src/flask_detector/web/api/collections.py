"""Collections: pictures that stay with their corrected objects."""

from flask import Response, jsonify, request, url_for

from flask_detector import errors as e
from flask_detector.collections import classes, split
from flask_detector.collections.documents import Collection, Rights
from flask_detector.web.api import uploads
from flask_detector.web.api.batches import find_batch
from flask_detector.web.api.collection_forms import (
    AddedResponse,
    ChangedPictures,
    ChoiceQuery,
    ClassChange,
    CollectionList,
    CollectionResponse,
    ImportedResponse,
    Kept,
    NewCollection,
    NewName,
    SplitOptions,
    added_form,
    collection_form,
    imported_form,
    link_url,
    summary_form,
)
from flask_detector.web.api.files import format_named
from flask_detector.web.api.links import Link
from flask_detector.web.api.operations import DELETED, JSON, Success, delete, get, patch, post
from flask_detector.web.api.params import from_fields, from_json
from flask_detector.web.core import collecting, importing, request_bodies
from flask_detector.web.core.auth import find, owner_of_request
from flask_detector.web.core.collecting import Choice
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View

_MISSING = (e.UnknownCollection, e.ServiceError, e.StorageUnavailable)
_FILLED = (e.CollectionFull, e.BadParameter, *_MISSING)


@post(
    "/collections",
    responses={201: Success("The collection", CollectionResponse, headers={"Location": "Its URL."})},
    errors=_FILLED,
    body={JSON: NewCollection},
    example='--json \'{"name": "Birds"}\' $API/collections',
)
def create_collection() -> Response:
    """Create a collection."""
    new = from_json(NewCollection, request_bodies.whole())
    collection = service().collections.create(new.name, owner_of_request(), new.classes)
    response = jsonify(collection_form(collection))
    response.status_code = 201
    response.headers["Location"] = url_for("api.show_collection", id=collection.id)
    return response


@get(
    "/collections",
    responses={200: Success("The collections", CollectionList)},
    errors=(e.KeyMissing, e.ServiceError, e.StorageUnavailable),
    example='-H "Authorization: Bearer $KEY" $API/collections',
)
def list_collections() -> Response:
    """List the collections of your API key, newest first."""
    owner = owner_of_request()
    if owner is None:
        raise e.KeyMissing("There is only a list of an API key's own collections.")
    found = service().collections.owned_by(owner)
    form: CollectionList = {"collections": [summary_form(one, sums) for one, sums in found]}
    return jsonify(form)


@get(
    "/collections/<id>",
    responses={200: Success("The collection", CollectionResponse)},
    errors=_MISSING,
    example="$API/collections/$COLLECTION",
)
def show_collection(id: str) -> Response:
    """Get a collection, with its classes and counts."""
    return jsonify(collection_form(find_collection(id)))


@patch(
    "/collections/<id>",
    responses={200: Success("The collection", CollectionResponse)},
    errors=(e.BadParameter, *_MISSING),
    body={JSON: NewName},
    example='-X PATCH --json \'{"name": "Waders"}\' $API/collections/$COLLECTION',
)
def rename_collection(id: str) -> Response:
    """Rename a collection."""
    new = from_json(NewName, request_bodies.whole())
    return jsonify(collection_form(service().collections.rename(find_collection(id).id, new.name)))


@delete(
    "/collections/<id>",
    responses={204: DELETED},
    errors=_MISSING,
    example="-X DELETE $API/collections/$COLLECTION",
)
def remove_collection(id: str) -> tuple[str, int]:
    """Delete a collection with its pictures."""
    service().collections.delete(find_collection(id).id)
    return "", 204


@post(
    "/collections/<id>/detections",
    responses={200: Success("What became of them", AddedResponse)},
    errors=(e.UnknownDetection, e.DetectionExpired, *_FILLED),
    body={JSON: Kept},
    example="--json '{\"detections\": [\"'$ID'\"]}' $API/collections/$COLLECTION/detections",
)
def keep_detections(id: str) -> Response:
    """Keep detections and batches: their pictures with the objects, corrected or as the model said.

    The same picture of the same name is one picture, also when it is kept again; what was changed in the
    collection since then stays.
    """
    collection = find_collection(id)
    kept = from_json(Kept, request_bodies.whole())
    records = [find(one) for one in kept.detections]
    for batch in kept.batches:
        records += service().jobs.find_all(find_batch(batch).detections)
    taken = collecting.keep(service(), collection.id, records, View(kept.min_score))
    return jsonify(added_form(taken))


@post(
    "/collections/<id>/imports",
    responses={200: Success("What became of it", ImportedResponse)},
    errors=(
        e.DatasetError, e.UnknownDataset, e.DatasetTooLarge, e.RequestTooLarge, e.RequestError,
        *_FILLED,
    ),
    body={"application/zip": None, "application/octet-stream": None},
    example="-T dataset.zip -X POST $API/collections/$COLLECTION/imports",
)  # fmt: skip
def import_dataset(id: str) -> Response:
    """Import a data set from a ZIP with its pictures.

    COCO, YOLO, Pascal VOC, LabelMe, CVAT 1.1 and Label Studio are recognised. What is cut off is completed by
    sending it again.
    """
    collection = find_collection(id)
    with service().importing.held("Another data set is being imported."):
        uploads.allow(importing.MOST_BYTES)
        imported = importing.import_dataset(service(), collection.id, "The data set", request_bodies.copy_to)
    return jsonify(imported_form(imported))


@post(
    "/collections/<id>/classes",
    responses={200: Success("How many pictures were changed", ChangedPictures)},
    errors=(e.BadParameter, *_MISSING),
    body={JSON: ClassChange},
    example='--json \'{"old": "kitty", "new": "cat"}\' $API/collections/$COLLECTION/classes',
)
def rename_class(id: str) -> Response:
    """Rename a class in all pictures; to a name that is there already merges both."""
    collection = find_collection(id)
    change = from_json(ClassChange, request_bodies.whole())
    form: ChangedPictures = {
        "pictures": classes.rename_class(service().pictures, collection.id, change.old, change.new)
    }
    return jsonify(form)


@delete(
    "/collections/<id>/classes/<path:name>",
    responses={204: DELETED},
    errors=(e.BadParameter, *_MISSING),
    example="-X DELETE $API/collections/$COLLECTION/classes/cat",
)
def remove_class(id: str, name: str) -> tuple[str, int]:
    """Take a class out that no object has."""
    classes.remove_class(service().pictures, find_collection(id).id, name)
    return "", 204


@post(
    "/collections/<id>/split",
    responses={200: Success("The collection", CollectionResponse)},
    errors=(e.BadParameter, *_MISSING),
    body={JSON: SplitOptions},
    example="--json '{\"validation\": 0.2}' $API/collections/$COLLECTION/split",
)
def split_collection(id: str) -> Response:
    """Part pictures into training and validation: the same again for the same pictures and seed."""
    collection = find_collection(id)
    options = from_json(SplitOptions, request_bodies.whole())
    split.split(
        service().pictures,
        collection.id,
        validation=options.validation,
        seed=options.seed,
        again=options.again,
    )
    return jsonify(collection_form(collection))


@post(
    "/collections/<id>/links/<any(read,edit):rights>",
    responses={200: Success("The link, the same one until it is withdrawn", Link)},
    errors=_MISSING,
    example="-X POST $API/collections/$COLLECTION/links/read",
)
def link_collection(id: str, rights: str) -> Response:
    """Make a link to a collection's page, to look at it or to change its objects."""
    form: Link = {"url": link_url(service().collections.share(find_collection(id).id, Rights(rights)))}
    return jsonify(form)


@delete(
    "/collections/<id>/links/<any(read,edit):rights>",
    responses={204: Success("It opens nothing any more", media_types=())},
    errors=_MISSING,
    example="-X DELETE $API/collections/$COLLECTION/links/read",
)
def withdraw_collection_link(id: str, rights: str) -> tuple[str, int]:
    """Withdraw a link to a collection."""
    service().collections.withdraw(find_collection(id).id, Rights(rights))
    return "", 204


@get(
    "/collections/<id>/exports/<format>",
    responses={200: Success("A ZIP of the data set", media_types=("application/zip",))},
    errors=(e.BadParameter, e.UnknownFormat, *_MISSING),
    query=ChoiceQuery,
    example="-OJ '$API/collections/$COLLECTION/exports/yolo?state=verified'",
)
def export_collection(id: str, format: str) -> Response:
    """Export a collection as a data set, with its pictures."""
    collection = find_collection(id)
    format_named(format)
    from_fields(ChoiceQuery, request.args)
    entries = Choice.of(request.args).of_entries(service().pictures.entries(collection.id))
    return collecting.export(service(), collection, entries, format)


def find_collection(id: str) -> Collection:
    """Return a collection that the request may see; raises UnknownCollection."""
    collection = service().collections.find(id)
    if collection.owner is not None and collection.owner != owner_of_request():
        raise e.UnknownCollection("There is no such collection.")
    return collection
