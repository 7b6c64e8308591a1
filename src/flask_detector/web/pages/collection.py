"""One collection: its pictures, their classes and parts, its files, and each picture in the editor.

The same pages stand at two URLs: ``/collections/<id>`` for whoever has the collection, and
``/shared/collections/<token>`` for those who were given a link, to look at it or to change what is in it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, abort, g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.collections import classes, split
from flask_detector.collections.documents import Rights
from flask_detector.errors import BadParameter, ReadOnly
from flask_detector.formats import FORMATS
from flask_detector.visualization.colors import Colour, colours_of
from flask_detector.web.core import annotations, archives, collecting, renditions
from flask_detector.web.core.collecting import Choice
from flask_detector.web.core.etags import send_once_of
from flask_detector.web.core.responses import go_to, send
from flask_detector.web.core.service import service
from flask_detector.web.pages.collections import own

SHARED = "shared_collection"

blueprint = Blueprint("collection", __name__)

_PAGE = 60
_BY = "another tab or browser"

View = TypeVar("View", bound=Callable[..., Any])


@blueprint.url_value_preprocessor
def _find(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Look the collection up by what the URL says; `g.collection` and `g.rights` hold what is found."""
    g.key = (values or {}).pop("key")
    g.is_shared = request.blueprint == SHARED
    if g.is_shared:
        g.collection, g.rights = service().collections.of_link(g.key)
    else:
        g.collection, g.rights = own(g.key), Rights.EDIT


@blueprint.url_defaults
def _add_key(endpoint: str, values: dict[str, Any]) -> None:
    if "key" in g and endpoint.startswith(f"{request.blueprint}."):
        values.setdefault("key", g.key)


def _changes(view: View) -> View:
    """Let a function be called only by whoever may change what is in the collection."""

    @wraps(view)
    def check(*args: Any, **values: Any) -> Any:
        if g.rights is not Rights.EDIT:
            raise ReadOnly("This link lets you look at the collection, not change it.")
        return view(*args, **values)

    return check  # type: ignore[return-value]  # Flask gives each route its own values


def _owners(view: View) -> View:
    """Let a function be called only by the collection's owner."""

    @wraps(view)
    def check(*args: Any, **values: Any) -> Any:
        if g.is_shared:
            raise ReadOnly("Only whoever has the collection can do this.", hint="")
        return view(*args, **values)

    return check  # type: ignore[return-value]  # Flask gives each route its own values


@blueprint.get("")
def show() -> str:
    """Show the pictures that the query asks for, a page of them, and what is counted over all."""
    choice = Choice.of(request.args)
    everything = service().pictures.entries(g.collection.id)
    chosen = choice.of_entries(everything)
    last = max(1, -(-len(chosen) // _PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    shown = chosen[(page - 1) * _PAGE : page * _PAGE]
    counts, sums = classes.counts_of(g.collection, everything), service().collections.sums(g.collection.id)
    return render_template(
        "pages/collection.html",
        collection=g.collection,
        total=len(everything),
        number=len(chosen),
        entries=shown,
        details=service().pictures.details(g.collection.id, shown),
        states=sums.states,
        splits=collecting.counts_by_split(everything),
        counts=counts,
        colours=_colours(list(counts)),
        choice_of=choice,
        query=_query(),
        page=page,
        last=last,
        size=sums.size,
        may_edit=g.rights is Rights.EDIT,
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
    )


def _colours(labels: list[str]) -> dict[str, Colour]:
    by_number = colours_of(range(len(labels)))
    return {label: by_number[number] for number, label in enumerate(labels)}


def _query() -> dict[str, Any]:
    """Return the parts of the request's query that a collection and its pictures share."""
    return {
        name: request.args.getlist(name) for name in ("state", "class", "split") if request.args.get(name)
    }


@blueprint.get("/exports/<name>.zip")
def export(name: str) -> Response:
    """Send the pictures that the query asks for as a data set of that format."""
    if name not in FORMATS:
        abort(404)
    entries = Choice.of(request.args).of_entries(service().pictures.entries(g.collection.id))
    return collecting.export(service(), g.collection, entries, name)


@blueprint.before_app_request
def _take_large_files() -> None:
    # Before anything looks for a form's token, and so reads the form.
    if request.endpoint in {f"{name}.import_dataset" for name in ("collection", SHARED)}:
        if g.rights is Rights.EDIT:
            request.max_content_length = collecting.MOST_IMPORTED_BYTES
        g.importing = ExitStack()
        g.importing.enter_context(service().importing.held("Another data set is being imported."))


@blueprint.teardown_app_request
def _let_go(_: BaseException | None) -> None:
    if "importing" in g:
        g.importing.close()


@blueprint.post("/imports")
@_changes
def import_dataset() -> str:
    """Import a data set in a ZIP; say what became of it."""
    file = request.files.get("dataset")
    if file is None or not file.filename:
        raise BadParameter("There is no file.", hint="Choose the ZIP of a data set.", field="dataset")
    imported = collecting.import_dataset(service(), g.collection.id, file.filename, file.save)
    return render_template("pages/imported.html", collection=g.collection, imported=imported)


@blueprint.post("/classes")
@_changes
def rename_class() -> AnyResponse:
    """Rename a class, or merge it with another."""
    classes.rename_class(
        service().pictures, g.collection.id, request.form.get("old", ""), request.form.get("new", "")
    )
    return go_to(url_for(".show"))


@blueprint.post("/split")
@_changes
def part() -> AnyResponse:
    """Part the pictures into training and validation."""
    percent = request.form.get("percent", type=float)
    if percent is None or not 0 <= percent <= 100:
        raise BadParameter("The share must be from 0 to 100 percent.", field="percent")
    again = bool(request.form.get("again"))
    split.split(service().pictures, g.collection.id, validation=percent / 100, again=again)
    return go_to(url_for(".show"))


@blueprint.post("/rename")
@_owners
def rename() -> AnyResponse:
    """Give the collection another name."""
    service().collections.rename(g.collection.id, request.form.get("name", ""))
    return go_to(url_for(".show"))


@blueprint.post("/delete")
@_owners
def delete() -> AnyResponse:
    """Delete the collection with its pictures now."""
    service().collections.delete(g.collection.id)
    return go_to(url_for("collections.index"))


@blueprint.post("/share/<any(read,edit):rights>")
@_owners
def share(rights: str) -> AnyResponse:
    """Make the link under which anybody may look at the collection, or change what is in it."""
    token = service().collections.share(g.collection.id, Rights(rights))
    return go_to(url_for(".show", _anchor="share"), link=url_for(f"{SHARED}.show", key=token, _external=True))


@blueprint.post("/withdraw/<any(read,edit):rights>")
@_owners
def withdraw(rights: str) -> AnyResponse:
    """Let a link open nothing any more."""
    service().collections.withdraw(g.collection.id, Rights(rights))
    return go_to(url_for(".show", _anchor="share"))


@blueprint.get("/pictures/<id>")
def picture(id: str) -> str:
    """Show a picture in the editor, with the way to those beside it."""
    entry = service().pictures.entry(g.collection.id, id)
    chosen = Choice.of(request.args).of_entries(service().pictures.entries(g.collection.id))
    # The picture may have left the choice, as the first change of an unseen one has it do.
    place = (entry.added_at, entry.id)
    before = [one for one in chosen if (one.added_at, one.id) < place]
    after = [one for one in chosen if (one.added_at, one.id) > place]
    labels = list(classes.counts_of(g.collection, [entry]))
    return render_template(
        "pages/collected.html",
        collection=g.collection,
        entry=entry,
        position=f"{len(before) + 1} of {len(chosen)}" if entry in chosen else f"{len(chosen)} more",
        previous=before[-1].id if before else None,
        next=after[0].id if after else None,
        page=len(before) // _PAGE + 1,
        query=_query(),
        labels=labels,
        colours=_colours(labels),
        may_edit=g.rights is Rights.EDIT,
    )


@blueprint.post("/pictures/<id>/delete")
@_changes
def delete_picture(id: str) -> AnyResponse:
    """Delete a picture of the collection."""
    service().pictures.remove(g.collection.id, [id])
    return go_to(url_for(".show", **_query()))


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
@_changes
def save_annotations(id: str) -> Response:
    """Correct the objects of a picture."""
    by = "somebody with the link" if g.is_shared else _BY
    return annotations.save_collected(g.collection.id, id, by)
