"""The HTTP API, version 1. It uses no cookie: API keys, or a detection's id, open what they open."""

import io
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, jsonify, request, url_for

from flask_detector import images
from flask_detector.detectors import AUTO
from flask_detector.records import JobStatus, Record
from flask_detector.web.access import find, key_of_request, owner_of_request
from flask_detector.web.service import service
from flask_detector.web.view import score

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.before_request
def _check_key() -> None:
    key_of_request()


@blueprint.post("/detections")
def create() -> Response:
    """Take a picture in: the file of a form's field `picture`, or the body itself.

    The options `model` and `min_score` are fields of the form or parameters of the address.
    """
    source, filename = _sent_picture()
    id = service().accept(
        source,
        filename=filename,
        model=request.values.get("model", AUTO),
        min_score=score(request.values.get("min_score"), name="min_score"),
        owner=owner_of_request(),
    )
    response = jsonify(_form_of(find(id)))
    response.status_code = 202
    response.headers["Location"] = url_for("api.show", id=id)
    return response


def _sent_picture() -> tuple[BinaryIO | None, str | None]:
    if request.mimetype == "multipart/form-data":
        file = request.files.get("picture")
        return (None, None) if file is None else (cast(BinaryIO, file.stream), file.filename)
    body = request.get_data()
    # Many HTTP clients call a bare body a form unless told otherwise.
    if request.mimetype == "application/x-www-form-urlencoded" and images.format_of(body[:256]) is None:
        return None, None
    return io.BytesIO(body), None


@blueprint.get("/detections/<id>")
def show(id: str) -> Response:
    """Send a detection as it stands, with its result once that is there."""
    response = jsonify(_form_of(find(id)))
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.delete("/detections/<id>")
def delete(id: str) -> tuple[str, int]:
    """Delete a detection and its picture now."""
    service().delete(find(id))
    return "", 204


@blueprint.get("/models")
def models() -> Response:
    """Send which models there are and how far each is on its way to being used."""
    default = service().default_model()
    forms = [
        {
            "name": info.name,
            "title": info.title,
            "has_masks": info.has_masks,
            "box_ap": info.box_ap,
            "mask_ap": info.mask_ap,
            "licence": info.licence,
            "bytes": info.source.size,
            "state": state.stage,
            "fraction": state.fraction,
            "default": info.name == default,
        }
        for info, state in service().models_by_state()
    ]
    response = jsonify({"models": forms})
    response.headers["Cache-Control"] = "no-store"
    return response


def _form_of(record: Record) -> dict[str, Any]:
    form: dict[str, Any] = {
        "id": record.id,
        "status": record.status,
        "filename": record.filename,
        "width": record.picture.width,
        "height": record.picture.height,
        "model": record.model,
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "page": url_for("detection.show", key=record.id),
        "drawn": url_for("detection.download", key=record.id),
    }
    if record.position is not None:
        form["position"] = record.position
    if record.stage is not None:
        form["stage"] = record.stage
    if record.failure is not None:
        form["error"] = {
            "code": record.failure.code,
            "message": record.failure.message,
            "hint": record.failure.hint,
        }
    if record.status is JobStatus.DONE:
        found, shown_score = service().jobs.result(record.id)
        form["result"] = found.over(shown_score).to_json()
    return form
