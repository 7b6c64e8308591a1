"""Which of a visitor's detections a form means: those that are ticked, or all that a search finds."""

from collections.abc import Sequence
from contextlib import suppress

from flask import request

from flask_detector.errors import BadParameter, UnknownDetection
from flask_detector.jobs.listing import Listed
from flask_detector.jobs.records import Record
from flask_detector.web.core.history_search import Search
from flask_detector.web.core.service import service
from flask_detector.web.pages.visitor import may_see, visitor


def own_history() -> list[Listed]:
    """Return this visitor's detections in brief, newest first."""
    return service().listing.of_owner(visitor())


def selected() -> list[Record]:
    """Return what the current form's ``id`` fields name, or all that its query searches for with ``all``.

    An id may be a batch's, for all of its pictures. What is deleted meanwhile is left out.

    Raises BadParameter where nothing is named, and UnknownDetection where nothing is left of it.
    """
    if request.form.get("all"):
        ids = [one.id for one in Search.of(request.args).of_all(own_history())]
    else:
        ids = list(dict.fromkeys(request.form.getlist("id")))
        if not ids:
            raise BadParameter("No picture is selected.", hint="Select some, then try again.", field="id")
        there = {record.id for record in service().jobs.find_all(ids)}
        ids = [id for one in ids for id in ([one] if one in there else _of_batch(one))]
    records = [record for record in service().jobs.find_all(list(dict.fromkeys(ids))) if may_see(record)]
    if not records:
        raise UnknownDetection("None of these pictures is there any more.")
    return records


def _of_batch(id: str) -> Sequence[str]:
    """Return the detections of this visitor's batch of that id; none where there is no such one."""
    with suppress(UnknownDetection):
        batch = service().batches.find(id)
        if batch.owner == visitor():
            return batch.detections
    return ()
