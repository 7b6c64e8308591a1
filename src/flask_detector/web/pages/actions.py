"""Actions on a detection: run it again, cancel, delete, share."""

from typing import Any

from flask import Blueprint, g, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import UnknownDetection
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.pages.visitor import may_see

blueprint = Blueprint("actions", __name__, url_prefix="/detections/<key>")


@blueprint.url_value_preprocessor
def _find(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.record = service().jobs.find((values or {}).pop("key"))
    if not may_see(g.record):
        raise UnknownDetection("There is no such detection.")


@blueprint.post("/again")
def again() -> AnyResponse:
    """Detect in the same picture once more, without a new upload."""
    id = service().again(g.record)
    return go_to(url_for("detection.show", key=id), id=id)


@blueprint.post("/cancel")
def cancel() -> AnyResponse:
    """Stop waiting for a detection."""
    service().jobs.cancel(g.record.id)
    return go_to(url_for("detection.show", key=g.record.id))


@blueprint.post("/delete")
def delete() -> AnyResponse:
    """Delete a detection and its picture now."""
    service().delete(g.record)
    return go_to(url_for("pages.home"))


@blueprint.post("/share")
def share() -> AnyResponse:
    """Make the link under which anybody may look at the detection."""
    token = service().share_links.create(g.record.id)
    link = url_for("shared.show", key=token, _external=True)
    return go_to(url_for("detection.show", key=g.record.id), link=link)


@blueprint.post("/withdraw")
def withdraw() -> AnyResponse:
    """Let the link open nothing any more."""
    service().withdraw(g.record)
    return go_to(url_for("detection.show", key=g.record.id))
