"""The collections of a browser: their list, new ones, and keeping detections in them."""

from flask import Blueprint, jsonify, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.collections.documents import Collection
from flask_detector.errors import BadParameter, UnknownCollection
from flask_detector.web.core import collecting
from flask_detector.web.core.errors import wants_json
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View
from flask_detector.web.pages.selection import selected
from flask_detector.web.pages.visitor import may_see, visitor

blueprint = Blueprint("collections", __name__, url_prefix="/collections")

# In one request.
_MOST_KEPT = 1000

# Small copies of pictures that stand for a collection.
_COVERS = 4

# In the session: the collection that this browser kept something in last.
_LAST = "collection"


@blueprint.get("")
def index() -> str:
    """Show the collections of this browser."""
    found = service().collections.owned_by(visitor())
    return render_template(
        "pages/collections.html",
        collections=found,
        covers=service().pictures.some([one.id for one, _ in found], _COVERS),
        settings=service().settings,
    )


@blueprint.post("")
def create() -> AnyResponse:
    """Make a collection."""
    collection = service().collections.create(request.form.get("name", ""), visitor())
    return go_to(url_for("collection.show", key=collection.id), id=collection.id)


@blueprint.post("/keep")
def keep() -> AnyResponse:
    """Keep the detections that the form selects, with what the query shows of them.

    The form names a `collection`, or a new one by `name`.
    """
    records = selected()
    check_number(len(records))
    collection = wanted()
    taken = collecting.keep(service(), collection.id, records, View.of(request.args))
    return kept(collection, taken)


def check_number(number: int) -> None:
    """Raise BadParameter for more pictures than are kept in one request, which takes a while."""
    if number > _MOST_KEPT:
        raise BadParameter(
            f"These are {number:,} pictures; at most {_MOST_KEPT:,} are kept at once.",
            hint="Keep some of them first.",
            field="id",
        )


def kept(collection: Collection, taken: collecting.Taken, *, moved: bool = False) -> AnyResponse:
    """Say what became of pictures that went into a collection: go to it, or tell a script.

    moved: whether they are no longer where they were.
    """
    session[_LAST] = collection.id
    url = url_for("collection.show", key=collection.id)
    if not wants_json():
        return go_to(url)
    response = jsonify(
        {
            "url": url,
            "name": collection.name,
            "pictures": len(taken.ids),
            "added": taken.added,
            "left_out": [f"{name}: {reason}" for name, reason in taken.left_out],
            "moved": moved,
        }
    )
    response.headers["Location"] = url
    return response


def wanted() -> Collection:
    """Return the collection that the form names, or make the one that it asks for."""
    id = request.form.get("collection", "")
    return own(id) if id else service().collections.create(request.form.get("name", ""), visitor())


def own(id: str) -> Collection:
    """Return a collection that this browser may change in every way; raises UnknownCollection."""
    collection = service().collections.find(id)
    if not may_see(collection):
        raise UnknownCollection("There is no such collection.")
    return collection


@blueprint.app_template_global()
def collections_to_keep_in() -> list[Collection]:
    """Return the collections of this browser, the one that it kept something in last before all others."""
    found = service().collections.names_owned_by(visitor())
    return sorted(found, key=lambda one: one.id != session.get(_LAST))
