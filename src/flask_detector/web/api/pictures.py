"""The pictures of a collection."""

import json
from typing import Annotated, Any, BinaryIO, cast

from flask import Response, jsonify, request
from pydantic import Field

from flask_detector import errors as e
from flask_detector.settings import MEGABYTE
from flask_detector.structures.annotation import AnnotationError
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.splits import Split
from flask_detector.web.api import uploads
from flask_detector.web.api.annotations import CONDITIONS, ETAG, client
from flask_detector.web.api.collection_forms import (
    AddedResponse,
    PictureChange,
    PictureListQuery,
    PicturePage,
    PictureResponse,
    added_form,
    picture_form,
)
from flask_detector.web.api.collections import find_collection
from flask_detector.web.api.operations import DELETED, JSON, UNCHANGED, Success, delete, get, patch, post, put
from flask_detector.web.api.params import (
    AnnotationHeaders,
    FileHeaders,
    MasksQuery,
    Strict,
    from_fields,
    from_json,
)
from flask_detector.web.api.responses import AnnotationDocument, BoxAndLabel, BoxMask
from flask_detector.web.core import annotations, collecting, renditions, request_bodies
from flask_detector.web.core.collecting import Choice, Taken
from flask_detector.web.core.etags import send_once_of
from flask_detector.web.core.service import service

_MISSING = (e.UnknownCollection, e.ServiceError, e.StorageUnavailable)
_NO_PICTURE = (e.UnknownPicture, *_MISSING)
_PICTURE = "/collections/<id>/pictures/<picture>"


class UploadOptions(Strict):
    """What belongs to pictures that are sent."""

    annotations: Annotated[
        str | None, Field(description="The objects of a single picture, the JSON of its annotations.")
    ] = None
    split: Annotated[Split | None, Field(description="The part that they belong to.")] = None


class CollectedPictures(UploadOptions):
    """A form with one picture or several."""

    picture: Annotated[
        list[Annotated[str, Field(json_schema_extra={"format": "binary"})]],
        Field(description="The files, in fields of any name."),
    ]


@get(
    "/collections/<id>/pictures",
    responses={200: Success("A page of the list", PicturePage)},
    errors=(e.BadParameter, *_MISSING),
    query=PictureListQuery,
    example="'$API/collections/$COLLECTION/pictures?state=unseen&class=cat&limit=50'",
)
def list_pictures(id: str) -> Response:
    """List the pictures of a collection in the order in which they were added."""
    collection = find_collection(id)
    query = from_fields(PictureListQuery, request.args)
    entries = Choice.of(request.args).of_entries(service().pictures.entries(collection.id))
    total = len(entries)
    if query.cursor is not None:
        added_at, _, last = query.cursor.partition("_")
        entries = [entry for entry in entries if (entry.added_at, entry.id) > (added_at, last)]
    shown = entries[: query.limit]
    page: PicturePage = {
        "pictures": [picture_form(collection.id, entry) for entry in shown],
        "total": total,
        "next_cursor": f"{shown[-1].added_at}_{shown[-1].id}" if len(entries) > len(shown) else None,
    }
    return jsonify(page)


@post(
    "/collections/<id>/pictures",
    responses={200: Success("What became of them", AddedResponse)},
    errors=(
        e.BadParameter, e.BadAnnotations, e.NoPicture, e.PictureError, e.NotAPicture, e.PictureTooLarge,
        e.TooManyPictures, e.RequestTooLarge, e.BrokenForm, e.RequestError, e.CollectionFull, *_MISSING,
    ),
    body={uploads.FORM: CollectedPictures},
    example="-F picture=@picture.jpg -F annotations=@annotations.json $API/collections/$COLLECTION/pictures",
)  # fmt: skip
def add_pictures(id: str) -> Response:
    """Add pictures as they are, without detecting anything; one may come with its objects.

    Of several the good ones are added, and the response says why the others were not.
    """
    collection = find_collection(id)
    files, options = _sent()
    objects = None if options.annotations is None else _objects(options.annotations)
    taken, problems = Taken(), list[e.PictureError]()
    for file in files:
        try:
            added = collecting.add_upload(
                service(), collection.id, cast(BinaryIO, file.stream), file.filename, objects, options.split
            )
        except e.PictureError as error:
            problems.append(error)
            taken.left_out.append((file.filename or "", error.message))
        else:
            taken.ids.append(added[0])
            taken.added += added[1] == "added"
    if problems and not taken.ids:
        raise problems[0]
    return jsonify(added_form(taken))


def _sent() -> tuple[list[Any], UploadOptions]:
    """Return the files of the form, and its other fields."""
    settings = service().settings
    if request.mimetype != uploads.FORM:
        raise e.RequestError("Pictures come in a form.", hint="Send it as multipart/form-data.")
    uploads.allow(settings.max_batch_bytes + MEGABYTE)
    files = [file for group in request.files.listvalues() for file in group]
    fields = request.form.copy()
    # curl's -F annotations=@FILE sends that as a file, too.
    if (sent := request.files.get("annotations")) is not None:
        files.remove(sent)
        fields["annotations"] = sent.stream.read().decode(errors="replace")
    options = from_fields(UploadOptions, request.args, fields)
    if not files:
        raise e.NoPicture("No picture was sent.")
    if len(files) > settings.max_batch:
        raise e.TooManyPictures(
            f"You sent {len(files)} pictures; at most {settings.max_batch} are accepted at once."
        )
    if options.annotations is not None and len(files) > 1:
        raise e.BadParameter("Annotations are for one picture.", field="annotations")
    return files, options


def _objects(text: str) -> Annotations:
    try:
        return Annotations.from_json(json.loads(annotations.checked(text.encode())))
    except AnnotationError as error:
        raise annotations.named(error) from error
    except (ValueError, RecursionError) as error:
        raise e.BadAnnotations("The annotations are not JSON that can be read.", field="") from error


@get(
    _PICTURE,
    responses={200: Success("The picture", PictureResponse)},
    errors=_NO_PICTURE,
    example="$API/collections/$COLLECTION/pictures/$PICTURE",
)
def show_picture(id: str, picture: str) -> Response:
    """Get what is known of a picture."""
    collection = find_collection(id).id
    return jsonify(picture_form(collection, service().pictures.entry(collection, picture)))


@patch(
    _PICTURE,
    responses={200: Success("The picture", PictureResponse)},
    errors=(e.BadParameter, *_NO_PICTURE),
    body={JSON: PictureChange},
    example='-X PATCH --json \'{"split": "val"}\' $API/collections/$COLLECTION/pictures/$PICTURE',
)
def change_picture(id: str, picture: str) -> Response:
    """Put a picture into training or validation."""
    collection = find_collection(id).id
    wanted = from_json(PictureChange, request_bodies.whole())
    service().pictures.entry(collection, picture)
    service().pictures.change(collection, [picture], lambda document: document.update(split=wanted.split))
    return jsonify(picture_form(collection, service().pictures.entry(collection, picture)))


@delete(
    _PICTURE,
    responses={204: DELETED},
    errors=_NO_PICTURE,
    example="-X DELETE $API/collections/$COLLECTION/pictures/$PICTURE",
)
def remove_picture(id: str, picture: str) -> tuple[str, int]:
    """Delete a picture with its objects."""
    collection = find_collection(id).id
    service().pictures.entry(collection, picture)
    service().pictures.remove(collection, [picture])
    return "", 204


@get(
    f"{_PICTURE}/image",
    responses={200: Success("The picture", media_types=("image/*",), headers=ETAG), 304: UNCHANGED},
    errors=_NO_PICTURE,
    headers=FileHeaders,
    example="-O $API/collections/$COLLECTION/pictures/$PICTURE/image",
)
def picture_file(id: str, picture: str) -> Response:
    """Get the picture as it was sent."""
    collection = find_collection(id).id
    return send_once_of(
        lambda: renditions.collected_original(service(), collection, picture), picture, as_download=True
    )


@get(
    f"{_PICTURE}/annotations",
    responses={200: Success("The annotations", AnnotationDocument, headers=ETAG), 304: UNCHANGED},
    errors=(e.BadParameter, e.CollectionError, *_NO_PICTURE),
    query=MasksQuery,
    headers=FileHeaders,
    example="-i $API/collections/$COLLECTION/pictures/$PICTURE/annotations",
)
def show_picture_annotations(id: str, picture: str) -> Response:
    """Get a picture's objects."""
    collection = find_collection(id).id
    return annotations.show_collected(collection, picture, from_fields(MasksQuery, request.args).masks)


@put(
    f"{_PICTURE}/annotations",
    responses={200: Success("The annotations as they are kept", AnnotationDocument, headers=ETAG)},
    errors=(
        e.BadAnnotations, e.BadParameter, e.RequestTooLarge, e.CollectionError, e.CollectionFull, *CONDITIONS,
        *_NO_PICTURE,
    ),
    headers=AnnotationHeaders,
    body={JSON: AnnotationDocument},
    example="-X PUT -H 'If-Match: *' --json @annotations.json "
    "$API/collections/$COLLECTION/pictures/$PICTURE/annotations",
)  # fmt: skip
def save_picture_annotations(id: str, picture: str) -> Response:
    """Correct a picture's objects."""
    return annotations.save_collected(find_collection(id).id, picture, client())


@post(
    f"{_PICTURE}/annotations/mask",
    responses={200: Success("The mask", BoxMask)},
    errors=(e.BadAnnotations, e.NoMaskHead, e.ModelNotInstalled, e.QueueFull, *_NO_PICTURE),
    body={JSON: BoxAndLabel},
    example='--json \'{"box": [10, 20, 200, 300], "label": "cat"}\' '
    "$API/collections/$COLLECTION/pictures/$PICTURE/annotations/mask",
)
def mask_of_box_in_picture(id: str, picture: str) -> Response:
    """Turn a box into a mask by the model that found the picture's objects, or else by the default one."""
    return annotations.mask_of_collected_box(find_collection(id).id, picture)
