"""One collection: its pictures, their classes and parts, its files, and each picture in the editor.

The same pages stand at two URLs: ``/collections/<id>`` for whoever has the collection, and
``/shared/collections/<token>`` for those who were given a link, to look at it or to change what is in it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.collections import classes, deletions, split
from flask_detector.collections.documents import Entry, Rights
from flask_detector.collections.pictures import MOST_PICTURES
from flask_detector.errors import BadParameter, ReadOnly
from flask_detector.formats import FORMATS
from flask_detector.visualization.colors import Colour, colours_of
from flask_detector.web.core import archives, collecting, doubts, importing
from flask_detector.web.core.collecting import Choice
from flask_detector.web.core.doubts import Look
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.pages.collections import own
from flask_detector.web.pages.home import refusals

SHARED = "shared_collection"

blueprint = Blueprint("collection", __name__)

# The parameters of a query that say which pictures are meant.
_CHOICE = ("state", "class", "split")

PAGE = 60
"""Pictures on one page."""

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


def may_edit() -> bool:
    """Return whether the request may change what is in the collection."""
    return bool(g.rights is Rights.EDIT)


def changes(view: View) -> View:
    """Let a function be called only by whoever may change what is in the collection."""

    @wraps(view)
    def check(*args: Any, **values: Any) -> Any:
        if not may_edit():
            raise ReadOnly("This link lets you look at the collection, not change it.")
        return view(*args, **values)

    return check  # type: ignore[return-value]  # Flask gives each route its own values


def owners(view: View) -> View:
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
    everything, look = service().pictures.entries(g.collection.id), look_asked_for()
    found = choice.of_entries(everything)
    chosen = found if look is None else look.unsure_first(found)
    last = max(1, -(-len(chosen) // PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    shown = chosen[(page - 1) * PAGE : page * PAGE]
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
        colours=colours_by_label(list(counts)),
        choice_of=choice,
        look=look,
        found=len(found),
        missing=0 if look is None else len(look.missing(found)),
        models=[] if look is None else service().available.usable(),
        query=shared_query(),
        page=page,
        last=last,
        size=sums.size,
        may_edit=may_edit(),
        deletions=deletions.recent(g.collection) if may_edit() else [],
        imported=importing.find(service(), g.collection.id) if may_edit() else None,
        most_bytes=importing.MOST_BYTES,
        limits=service().limits,
        refusals=refusals(service().limits),
        most_together=MOST_PICTURES - len(everything),
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
    )


def look_asked_for() -> Look | None:
    """Return whose doubts the query asks for, in whose order pictures are shown then; None in their own."""
    if request.args.get("order") != "unsure":
        return None
    model = request.args.get("model") or doubts.model_for(service(), g.collection.id)
    return doubts.look_of(service(), g.collection.id, model)


def chosen_entries() -> list[Entry]:
    """Return the pictures that the query asks for, in the order that it asks for."""
    found, look = _found(), look_asked_for()
    return found if look is None else look.unsure_first(found)


def _found() -> list[Entry]:
    return Choice.of(request.args).of_entries(service().pictures.entries(g.collection.id))


@blueprint.post("/doubts")
@changes
def look_at_pictures() -> AnyResponse:
    """Have a model look at the pictures that the query asks for."""
    doubts.begin(service(), g.collection, request.args.get("model", ""), _found())
    return go_to(url_for(".show", **shared_query()))


@blueprint.post("/doubts/stop")
@changes
def stop_looking() -> AnyResponse:
    """Have a model look at no more pictures."""
    doubts.stop(service(), g.collection.id, request.args.get("model", ""))
    return go_to(url_for(".show", **shared_query()))


def colours_by_label(labels: list[str]) -> dict[str, Colour]:
    """Return the colours of classes."""
    by_number = colours_of(range(len(labels)))
    return {label: by_number[number] for number, label in enumerate(labels)}


def shared_query() -> dict[str, Any]:
    """Return the parts of the request's query that a collection and its pictures share."""
    return {
        name: request.args.getlist(name) for name in (*_CHOICE, "order", "model") if request.args.get(name)
    }


@blueprint.post("/classes")
@changes
def rename_class() -> AnyResponse:
    """Rename a class, or merge it with another."""
    classes.rename_class(
        service().pictures, g.collection.id, request.form.get("old", ""), request.form.get("new", "")
    )
    return go_to(url_for(".show"))


@blueprint.post("/classes/remove")
@changes
def remove_class() -> AnyResponse:
    """Take a class out that no object has."""
    classes.remove_class(service().pictures, g.collection.id, request.form.get("name", ""))
    return go_to(url_for(".show"))


@blueprint.post("/split")
@changes
def part() -> AnyResponse:
    """Part the pictures into training and validation."""
    percent = request.form.get("percent", type=float)
    if percent is None or not 0 <= percent <= 100:
        raise BadParameter("The share must be from 0 to 100 percent.", field="percent")
    again = bool(request.form.get("again"))
    split.split(service().pictures, g.collection.id, validation=percent / 100, again=again)
    return go_to(url_for(".show"))


@blueprint.post("/rename")
@owners
def rename() -> AnyResponse:
    """Give the collection another name."""
    service().collections.rename(g.collection.id, request.form.get("name", ""))
    return go_to(url_for(".show"))


@blueprint.post("/delete")
@owners
def delete() -> AnyResponse:
    """Delete the collection with its pictures now."""
    service().collections.delete(g.collection.id)
    return go_to(url_for("collections.index"))


@blueprint.post("/share/<any(read,edit):rights>")
@owners
def share(rights: str) -> AnyResponse:
    """Make the link under which anybody may look at the collection, or change what is in it."""
    token = service().collections.share(g.collection.id, Rights(rights))
    return go_to(url_for(".show", _anchor="share"), link=url_for(f"{SHARED}.show", key=token, _external=True))


@blueprint.post("/withdraw/<any(read,edit):rights>")
@owners
def withdraw(rights: str) -> AnyResponse:
    """Let a link open nothing any more."""
    service().collections.withdraw(g.collection.id, Rights(rights))
    return go_to(url_for(".show", _anchor="share"))
