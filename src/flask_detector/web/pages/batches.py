"""Batches: one page for pictures that were sent together, under one view, and the files of all of them.

The page and the files stand at two URLs: ``/batches/<id>`` for whoever sent the pictures, and
``/shared/batches/<token>`` for those who were given the link, where nothing can be changed. There a picture
is named by its place in the batch: an id may be the key to more than a look.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import DetectionExpired, UnknownDetection
from flask_detector.formats import FORMATS
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import UNFINISHED, JobStatus
from flask_detector.web.core import archives
from flask_detector.web.core.batch_summary import SORTS, Summary, summary_of
from flask_detector.web.core.responses import back_or, go_to, to_keep
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View
from flask_detector.web.pages.visitor import visitor

blueprint = Blueprint("batches", __name__, url_prefix="/batches")
shared = Blueprint("shared_batches", __name__, url_prefix="/shared/batches")

MOST_TOGETHER = 250
"""Pictures on one batch's page, and in its files."""


@blueprint.get("/<id>")
@shared.get("/<id>")
def show(id: str) -> str:
    """Show the pictures that were sent together; the query says what of them, and in which order."""
    batch, records = _find(id)
    summary, view = _summary(records), View.of(request.args)
    waiting = [record for record in records if not record.status.is_final]
    last = max(waiting, key=lambda record: record.position or 0, default=None)
    return render_template(
        "pages/batch.html",
        batch=batch,
        key=id,
        is_shared=request.blueprint == shared.name,
        share_token=None if request.blueprint == shared.name else service().share_links.token_of(id),
        summary=summary,
        done=summary.in_state(JobStatus.DONE),
        unfinished=summary.in_state(*UNFINISHED),
        has_worker=last is None or service().forecast.has_worker(last),
        forecast=service().forecast.words(last) if last else "",
        view=view,
        query=view_query(),
        sorts=SORTS,
        sort=request.args.get("sort"),
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
    )


@blueprint.get("/<id>/everything.zip")
@shared.get("/<id>/everything.zip")
def archive(id: str) -> Response:
    """Send what is shown of the pictures that were sent together, as far as they are done."""
    selected = archives.Selected(*_find(id))
    return archives.of_batch(service(), selected, View.of(request.args), f"{len(selected)}_detections.zip")


@blueprint.get("/<id>/datasets/<name>.zip")
@shared.get("/<id>/datasets/<name>.zip")
def dataset(id: str, name: str) -> Response:
    """Send the same as a data set of that format, with the pictures."""
    if name not in FORMATS:
        abort(404)
    view = View.of(request.args)
    return archives.data_set(service(), archives.Selected(*_find(id)), name, lambda found: view)


@blueprint.get("/<id>/summary.csv")
@shared.get("/<id>/summary.csv")
def table(id: str) -> Response:
    """Send how many objects of each class each picture has, as a table."""
    _, records = _find(id)
    response = Response(_summary(records).to_csv(), mimetype="text/csv")
    return to_keep(response, f"{len(records)}_detections.csv")


@blueprint.post("/<id>/delete")
def delete(id: str) -> AnyResponse:
    """Delete the pictures that were sent together, and their results, in a while, unless that is undone."""
    with suppress(DetectionExpired):  # in another tab: it is as it was asked for
        _, records = _find(id)
        service().deletions.later(records, visitor())
    return go_to(back_or(url_for("history.show")))


@blueprint.post("/<id>/share")
def share(id: str) -> AnyResponse:
    """Make the link under which anybody may look at the batch, its pictures and its files."""
    batch, _ = _find(id)
    token = service().share_links.create(batch.id)
    link = url_for("shared_batches.show", id=token, _external=True)
    return go_to(url_for("batches.show", id=id, **view_query()), link=link)


@blueprint.post("/<id>/withdraw")
def withdraw(id: str) -> AnyResponse:
    """Let the link open nothing any more."""
    _find(id)
    service().withdraw(id)
    return go_to(url_for("batches.show", id=id, **view_query()))


@dataclass(frozen=True)
class Place:
    """Where a detection stands in its batch, and the URLs of those beside it and of the batch."""

    number: int
    total: int
    previous: str | None
    next: str | None
    batch: str


def place_of(record: Record) -> Place | None:
    """Return the place of a detection in this visitor's batch, in the order that the query asks for.

    On a page that was reached by the link of a batch it is that batch.
    """
    try:
        batch, records = g.shared_batch if "shared_batch" in g else _find(_batch_of(record.id))
    except (UnknownDetection, DetectionExpired):
        return None
    if request.args.get("sort") in SORTS:
        records = [card.record for card in _summary(records).cards]
    ids, query = [one.id for one in records], view_query()
    if record.id not in ids:  # deleted meanwhile
        return None
    urls = [picture_url(one, **query) for one in records]
    i = ids.index(record.id)
    return Place(
        i + 1,
        len(ids),
        urls[i - 1] if i else None,
        urls[i + 1] if i + 1 < len(ids) else None,
        url_for("shared_batches.show", id=g.token, **query)
        if "token" in g
        else url_for("batches.show", id=batch.id, **query),
    )


def batch_url_of(id: str) -> str | None:
    """Return the URL of the batch that a detection is or was of, if it is this visitor's and not empty."""
    with suppress(UnknownDetection, DetectionExpired):
        batch, _ = _find(_batch_of(id))
        return url_for("batches.show", id=batch.id, **view_query())
    return None


@blueprint.app_template_global()
def picture_url(record: Record, page: str = "show", **query: Any) -> str:
    """Return the URL of a detection's page or file, for whoever looks at the current page."""
    if "shared_batch" not in g:
        return url_for(f"detection.{page}", key=record.id, **query)
    place = g.shared_batch[0].detections.index(record.id) + 1
    return url_for(f"shared_in_batch.{page}", token=g.token, place=place, **query)


def shared_picture(token: str, place: int) -> str:
    """Return the id of the detection at a place, from 1, of the batch that a token opens.

    Raises UnknownDetection or DetectionExpired.
    """
    batch, _ = _find_shared(token)
    if not 1 <= place <= len(batch.detections):
        raise UnknownDetection("There is no such detection.")
    return batch.detections[place - 1]


def _batch_of(id: str) -> str:
    return service().batches.of_detections([id]).get(id, "")


@blueprint.app_template_global()
def view_query() -> dict[str, Any]:
    """Return the parts of the request's query that a batch and its results share."""
    names = ("score", "only", "off", "sort")
    return {name: list(dict.fromkeys(filter(None, request.args.getlist(name)))) for name in names}


def _find(id: str) -> tuple[Batch, list[Record]]:
    """Return a batch and those of its detections that there still are, by its id or the link's token.

    Raises UnknownDetection, or DetectionExpired where there are none of them any more.
    """
    if request.blueprint == shared.name:
        return _find_shared(id)
    found = service().batches.find(id)
    if found.owner != visitor():
        raise UnknownDetection("There is no such batch.")
    return found, _records_of(found)


def _find_shared(token: str) -> tuple[Batch, list[Record]]:
    batch = service().batches.find(service().share_links.opened_by(token))
    found = batch, _records_of(batch)
    g.token, g.shared_batch = token, found
    return found


def _records_of(batch: Batch) -> list[Record]:
    records = service().jobs.find_all(batch.detections)
    if not records:
        raise DetectionExpired("The pictures of this batch have been deleted.")
    return records


def _summary(records: list[Record]) -> Summary:
    return summary_of(service(), records, View.of(request.args), request.args.get("sort", ""))
