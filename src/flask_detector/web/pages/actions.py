"""Actions on a detection: run it again, cancel, delete, share."""

from typing import Any

from flask import Blueprint, Response, g, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import DetectionExpired, UnknownDetection
from flask_detector.web.core import annotations
from flask_detector.web.core.errors import answer
from flask_detector.web.core.responses import back_or, came_from, go_to
from flask_detector.web.core.service import service
from flask_detector.web.pages.batches import place_of, view_query
from flask_detector.web.pages.visitor import may_see, visitor

# Who changes it, in another tab's words.
_BY = "another tab or browser"

blueprint = Blueprint("actions", __name__, url_prefix="/detections/<key>")


@blueprint.url_value_preprocessor
def _find(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.record = service().jobs.find((values or {}).pop("key"))
    if not may_see(g.record):
        raise UnknownDetection("There is no such detection.")


@blueprint.url_defaults
def _keep_view(endpoint: str, values: dict[str, Any]) -> None:
    """Let what leads back know what was shown, and what leads back to a list, which one."""
    if endpoint in {"actions.delete", "actions.share", "actions.withdraw"}:
        values.update(view_query())
    if endpoint == "actions.delete":
        values.setdefault("back", came_from(url_for("history.show")))


@blueprint.errorhandler(DetectionExpired)
def _gone(error: DetectionExpired) -> AnyResponse:
    """Report it, but not to whoever deletes what another tab has deleted: that is as it was asked for."""
    return go_to(back_or(url_for("history.show"))) if request.endpoint == "actions.delete" else answer(error)


@blueprint.post("/again")
def again() -> AnyResponse:
    """Detect in the same picture once more, without an upload; with another model if the form names one.

    Go to the new result, or with `compare` to both side by side.
    """
    id = service().again(g.record, model=request.form.get("model"))
    if "compare" in request.form:
        return go_to(url_for("comparison.show", key=g.record.id, other=id), id=id)
    return go_to(url_for("detection.show", key=id), id=id)


@blueprint.post("/cancel")
def cancel() -> AnyResponse:
    """Stop waiting for a detection."""
    service().jobs.cancel(g.record.id)
    return go_to(url_for("detection.show", key=g.record.id))


@blueprint.post("/delete")
def delete() -> AnyResponse:
    """Delete a detection in a while, unless that is undone; go back to the batch or list where one was."""
    place = place_of(g.record)
    service().deletions.later([g.record], visitor())
    several = place is not None and place.total > 1
    return go_to(back_or(place.batch if place is not None and several else url_for("history.show")))


@blueprint.put("/annotations")
def save_annotations() -> Response:
    """Correct the objects."""
    return annotations.save(g.record, _BY)


@blueprint.delete("/annotations")
def withdraw_annotations() -> Response:
    """Go back to what the model said."""
    return annotations.withdraw(g.record, _BY)


@blueprint.post("/annotations/mask")
def mask_of_box() -> Response:
    """Turn a box into a mask by the detection's own model."""
    return annotations.mask_of_box(g.record)


@blueprint.post("/share")
def share() -> AnyResponse:
    """Make the link under which anybody may look at the detection."""
    token = service().share_links.create(g.record.id)
    link = url_for("shared.show", key=token, _external=True)
    return go_to(_as_shown(), link=link)


@blueprint.post("/withdraw")
def withdraw() -> AnyResponse:
    """Let the link open nothing any more."""
    service().withdraw(g.record.id)
    return go_to(_as_shown())


def _as_shown() -> str:
    return url_for("detection.show", key=g.record.id, **view_query())
