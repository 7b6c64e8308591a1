"""The pictures of a collection: each in the editor, its files, and what is done with several of them."""

import io
from typing import BinaryIO, cast

from flask import Response, abort, g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.collections import classes
from flask_detector.collections.documents import Entry
from flask_detector.errors import BadParameter, NoPicture, PictureError, UnknownPicture
from flask_detector.formats import FORMATS
from flask_detector.web.core import annotations, collecting, fetch_url, renditions
from flask_detector.web.core.etags import send_once_of
from flask_detector.web.core.responses import back_or, go_to, send
from flask_detector.web.core.service import service
from flask_detector.web.pages.collection import (
    PAGE,
    blueprint,
    changes,
    chosen_entries,
    colours_by_label,
    look_asked_for,
    may_edit,
    shared_query,
)
from flask_detector.web.pages.collections import check_number, kept, wanted


@blueprint.get("/pictures/<id>")
def picture(id: str) -> str:
    """Show a picture in the editor, with the way to those beside it."""
    entry = service().pictures.entry(g.collection.id, id)
    chosen, look = chosen_entries(), look_asked_for()

    def place(one: Entry) -> tuple[float, str, str]:
        return 0 if look is None else -look.doubt(one), one.added_at, one.id

    # The picture may have left the choice, as the first change of an unseen one has it do.
    before = [one for one in chosen if place(one) < place(entry)]
    after = [one for one in chosen if place(one) > place(entry)]
    labels = list(classes.counts_of(g.collection, [entry]))
    return render_template(
        "pages/collected.html",
        collection=g.collection,
        entry=entry,
        position=f"{len(before) + 1} of {len(chosen)}" if entry in chosen else f"{len(chosen)} more",
        previous=before[-1].id if before else None,
        next=after[0].id if after else None,
        page=len(before) // PAGE + 1,
        query=shared_query(),
        labels=labels,
        colours=colours_by_label(labels),
        may_edit=may_edit(),
        makes_masks=may_edit() and annotations.outliner() is not None,
    )


@blueprint.get("/pictures/<id>/picture")
def picture_file(id: str) -> Response:
    """Send the picture upright, in a format that every browser shows, without its metadata."""
    return send_once_of(lambda: renditions.collected(service(), g.collection.id, id), id)


@blueprint.get("/pictures/<id>/thumbnail")
def thumbnail(id: str) -> Response:
    """Send a small copy of the picture."""
    return send(renditions.collected_thumbnail(service(), g.collection.id, id))


@blueprint.get("/pictures/<id>/annotations")
def show_annotations(id: str) -> Response:
    """Send the objects of a picture."""
    masks = request.args.get("masks")
    return annotations.show_collected(g.collection.id, id, "polygon" if masks == "polygon" else "rle")


@blueprint.put("/pictures/<id>/annotations")
@changes
def save_annotations(id: str) -> Response:
    """Correct the objects of a picture."""
    by = "somebody with the link" if g.is_shared else "another tab or browser"
    return annotations.save_collected(g.collection.id, id, by)


@blueprint.post("/pictures/<id>/annotations/mask")
@changes
def mask_of_box(id: str) -> Response:
    """Turn a box into a mask by a model."""
    return annotations.mask_of_collected_box(g.collection.id, id)


@blueprint.post("/pictures")
@changes
def add() -> AnyResponse:
    """Add the form's pictures as they are: its files, and the one at its URL; none is detected in.

    Scripts send several one by one.
    """
    files = [(cast(BinaryIO, file.stream), file.filename) for file in request.files.getlist("picture")]
    if url := request.form.get("url", "").strip():
        answer = fetch_url.fetch(url)
        files.append((io.BytesIO(answer.body), fetch_url.name_of(answer)))
    if not files:
        raise NoPicture("No picture was sent.")
    refused: list[tuple[str, PictureError]] = []
    added: list[tuple[str, str]] = []
    for stream, name in files:
        try:
            added.append(collecting.add_upload(service(), g.collection.id, stream, name))
        except PictureError as error:
            refused.append((name or "", error))
    if refused:
        name, first = refused[0]
        if len(files) == 1:
            raise first
        hint = f"{len(added)} of {len(files)} pictures were added."
        raise type(first)(f"{name}: {first.message}", hint=hint)
    id, became = added[-1]
    return go_to(url_for(".picture", id=id) if len(files) == 1 else url_for(".show"), id=id, became=became)


@blueprint.post("/pictures/<id>/delete")
@changes
def delete_picture(id: str) -> AnyResponse:
    """Delete a picture of the collection in a while, unless that is undone."""
    service().collected_deletions.later(g.collection.id, [id])
    return go_to(back_or(url_for(".show")))


@blueprint.post("/delete-pictures")
@changes
def delete_selected() -> AnyResponse:
    """Delete the pictures that are selected in a while, unless that is undone."""
    service().collected_deletions.later(g.collection.id, [entry.id for entry in _selected()])
    return go_to(back_or(url_for(".show")))


@blueprint.post("/undo/<token>")
@changes
def undo(token: str) -> AnyResponse:
    """Take a deletion back, if it is not too late."""
    if not service().collected_deletions.undo(g.collection.id, token):
        raise UnknownPicture("It is too late to undo: the pictures are deleted.", hint="")
    return go_to(back_or(url_for(".show")))


@blueprint.post("/copy")
def copy() -> AnyResponse:
    """Put the pictures that are selected into another collection; with ``move`` take them out of this one."""
    chosen = _selected()
    check_number(len(chosen))
    moves = bool(request.form.get("move")) and may_edit()
    into = wanted()
    if into.id == g.collection.id:
        raise BadParameter(
            "The pictures are in this collection.", hint="Choose another one.", field="collection"
        )
    taken = collecting.copy(service(), g.collection.id, chosen, into.id)
    if moves:
        service().collected_deletions.later(g.collection.id, taken.ids)
    return kept(into, taken, moved=moves)


@blueprint.get("/exports/<name>.zip")
@blueprint.post("/exports/<name>.zip")
def export(name: str) -> Response:
    """Send the pictures that the query asks for, or the form selects, as a data set of that format."""
    if name not in FORMATS:
        abort(404)
    entries = _selected() if request.method == "POST" else chosen_entries()
    return collecting.export(service(), g.collection, entries, name)


def _selected() -> list[Entry]:
    """Return the pictures that the form's ``id`` fields name, or all that the query asks for with ``all``.

    Raises BadParameter where nothing is named, and UnknownPicture where nothing is left of it.
    """
    if request.form.get("all"):
        entries = chosen_entries()
    else:
        ids = set(request.form.getlist("id"))
        if not ids:
            raise BadParameter("No picture is selected.", hint="Select some, then try again.", field="id")
        entries = [entry for entry in service().pictures.entries(g.collection.id) if entry.id in ids]
    if not entries:
        raise UnknownPicture("None of these pictures is there any more.")
    return entries
