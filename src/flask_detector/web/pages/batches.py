"""Batches: one page for pictures that were sent together, under one view, and the files of all of them."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import BadParameter, UnknownDetection
from flask_detector.formats import FORMATS
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import UNFINISHED, JobStatus
from flask_detector.web.core import archives
from flask_detector.web.core.batch_summary import SORTS, Summary, summary_of
from flask_detector.web.core.responses import go_to, to_keep
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View
from flask_detector.web.pages.visitor import may_see, visitor

blueprint = Blueprint("batches", __name__, url_prefix="/batches")

MOST_TOGETHER = 250
"""Pictures on one batch's page, and in its files."""


@blueprint.post("")
def create() -> AnyResponse:
    """Put detections of this visitor, the form's `detection` fields, on one page."""
    ids = list(dict.fromkeys(request.form.getlist("detection")))
    if len(ids) > MOST_TOGETHER:
        raise BadParameter(
            f"You sent {len(ids)} pictures; at most {MOST_TOGETHER} fit on one page.",
            hint="Send them in several requests.",
            field="detection",
        )
    records = service().jobs.find_all(ids)
    if not records or len(records) < len(ids) or not all(may_see(record) for record in records):
        raise UnknownDetection("There is no such detection.")
    id = service().group(records, owner=visitor())
    return go_to(url_for("batches.show", id=id), id=id)


@blueprint.get("/<id>")
def show(id: str) -> str:
    """Show the pictures that were sent together; the query says what of them, and in which order."""
    batch, records = _find(id)
    summary, view = _summary(records), View.of(request.args)
    return render_template(
        "pages/batch.html",
        batch=batch,
        summary=summary,
        done=summary.in_state(JobStatus.DONE),
        unfinished=summary.in_state(*UNFINISHED),
        view=view,
        query=view_query(),
        sorts=SORTS,
        sort=request.args.get("sort"),
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
    )


@blueprint.get("/<id>/everything.zip")
def archive(id: str) -> Response:
    """Send what is shown of the pictures that were sent together, as far as they are done."""
    selected = archives.Selected(*_find(id))
    return archives.of_batch(service(), selected, View.of(request.args), f"{len(selected)}_detections.zip")


@blueprint.get("/<id>/datasets/<name>.zip")
def dataset(id: str, name: str) -> Response:
    """Send the same as a data set of that format, with the pictures."""
    if name not in FORMATS:
        abort(404)
    view = View.of(request.args)
    return archives.data_set(service(), archives.Selected(*_find(id)), name, lambda found: view)


@blueprint.get("/<id>/summary.csv")
def table(id: str) -> Response:
    """Send how many objects of each class each picture has, as a table."""
    _, records = _find(id)
    response = Response(_summary(records).to_csv(), mimetype="text/csv")
    return to_keep(response, f"{len(records)}_detections.csv")


@blueprint.post("/<id>/delete")
def delete(id: str) -> AnyResponse:
    """Delete the pictures that were sent together, and their results, now."""
    _, records = _find(id)
    service().delete_all(records)
    service().batches.delete(id)
    return go_to(url_for("pages.history"))


@dataclass(frozen=True)
class Place:
    """Where a detection stands in its batch, and the URLs of those beside it and of the batch."""

    number: int
    total: int
    previous: str | None
    next: str | None
    batch: str


def place_of(record: Record) -> Place | None:
    """Return the place of a detection in this visitor's batch, in the order that the query asks for."""
    id = service().batches.of_detections([record.id]).get(record.id)
    if id is None:
        return None
    try:
        _, records = _find(id)
    except UnknownDetection:
        return None
    if request.args.get("sort") in SORTS:
        records = [card.record for card in _summary(records).cards]
    ids, query = [one.id for one in records], view_query()
    if record.id not in ids:  # deleted meanwhile
        return None
    urls = [url_for("detection.show", key=one, **query) for one in ids]
    i = ids.index(record.id)
    return Place(
        i + 1,
        len(ids),
        urls[i - 1] if i else None,
        urls[i + 1] if i + 1 < len(ids) else None,
        url_for("batches.show", id=id, **query),
    )


def view_query() -> dict[str, Any]:
    """Return the parts of the request's query that a batch and its results share."""
    names = ("score", "only", "off", "sort")
    return {name: list(dict.fromkeys(filter(None, request.args.getlist(name)))) for name in names}


def _find(id: str) -> tuple[Batch, list[Record]]:
    found = service().batches.find(id)
    if found.owner != visitor():
        raise UnknownDetection("There is no such batch.")
    return found, service().jobs.find_all(found.detections)


def _summary(records: list[Record]) -> Summary:
    return summary_of(service(), records, View.of(request.args), request.args.get("sort", ""))
