"""A browser's history: search, select, export, delete and undo that. All works without JavaScript."""

from flask import Blueprint, Response, abort, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import DetectionExpired
from flask_detector.formats import FORMATS
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.deletions import Deletion
from flask_detector.web.core import archives
from flask_detector.web.core.batch_summary import summary_of
from flask_detector.web.core.history_search import STATES, Entry, Search, entries
from flask_detector.web.core.responses import back_or, came_from, go_to, here
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View
from flask_detector.web.pages.selection import own_history, selected
from flask_detector.web.pages.visitor import is_known, visitor

blueprint = Blueprint("history", __name__, url_prefix="/history")
blueprint.add_app_template_global(here)

_PAGE = 48  # cards on one page


@blueprint.get("")
def show() -> str:
    """Show the detections of this browser, newest first, or those of them that a search finds.

    What was sent together is on one card; what is searched for is found one by one.
    """
    listed, search = own_history(), Search.of(request.args)
    found = search.of_all(listed)
    cards = [Entry([one]) for one in found] if search.query else entries(found)
    last = max(1, -(-len(cards) // _PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    cards = cards[(page - 1) * _PAGE : page * _PAGE]
    records = service().jobs.find_all([card.first.id for card in cards])
    summary = summary_of(service(), records, View())
    return render_template(
        "pages/history.html",
        cards=cards,
        shown={card.record.id: card for card in summary.cards},
        total=len(listed),
        number=len(found),
        labels=sorted({label for one in listed for label in one.counts or {}}),
        models=sorted({one.model for one in listed if one.model}),
        states={
            name: words for name, (words, meant) in STATES.items() if any(o.status in meant for o in listed)
        },
        search=search,
        page=page,
        last=last,
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
    )


@blueprint.post("/delete")
def delete() -> AnyResponse:
    """Hide what is selected, and delete it in a while unless that is undone."""
    service().deletions.later(selected(), visitor())
    return go_to(back_or(url_for("history.show")))


@blueprint.post("/undo/<id>")
def undo(id: str) -> AnyResponse:
    """Take a deletion back, if it is not too late."""
    if not service().deletions.undo(visitor(), id):
        raise DetectionExpired("It is too late to undo: the pictures are deleted.")
    return go_to(back_or(url_for("history.show")))


@blueprint.post("/export/<name>.zip")
def export(name: str) -> Response:
    """Send what is selected as a data set of a format, or with ``everything`` a folder for each picture.

    The form's ``score`` is the minimum score.
    """
    if name != "everything" and name not in FORMATS:
        abort(404)
    records, view = selected(), View.of(request.form)
    batch = Batch("", visitor(), tuple(record.id for record in records), ())
    files = archives.Selected(batch, records)
    if name == "everything":
        return archives.of_batch(service(), files, view, f"{len(files)}_detections.zip")
    return archives.data_set(service(), files, name, lambda found: view)


@blueprint.app_template_global()
def undoable() -> list[tuple[Deletion, float]]:
    """Return what this browser has deleted and can still undo, and for how many seconds, newest first."""
    return service().deletions.recent(visitor()) if is_known() else []


@blueprint.app_template_global()
def history_before() -> str | None:
    """Return the path and query of the page of the history that led to the current page, if one did."""
    return came_from(url_for("history.show"))
