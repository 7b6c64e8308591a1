"""The pages. They work without JavaScript: a form, a link, a refresh."""

from typing import BinaryIO, cast

from flask import (
    Blueprint,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from flask_detector import palette
from flask_detector.detectors import AUTO, MAIN_MODEL
from flask_detector.formats import FORMATS
from flask_detector.records import JobStatus, Record
from flask_detector.web.errors import status_of_code, wants_json
from flask_detector.web.service import File, service
from flask_detector.web.view import View

blueprint = Blueprint("pages", __name__)

_PRIVATE_HOUR = "private, max-age=3600"


@blueprint.get("/")
def home() -> str:
    """Show the upload form."""
    return render_template(
        "home.html",
        settings=service().settings,
        workers=service().jobs.workers(),
        models=service().models_by_state(),
        default_model=service().default_model(),
        main_model=MAIN_MODEL,
    )


@blueprint.post("/detections")
def create() -> AnyResponse:
    """Take a picture in; go to its detection's page, or tell a script where that is."""
    file = request.files.get("picture")
    id = service().accept(
        cast(BinaryIO, file.stream) if file is not None and file.filename else None,
        filename=file.filename if file is not None else None,
        model=request.form.get("model", AUTO),
        min_score=request.form.get("min_score"),
    )
    return _go_to(id)


@blueprint.get("/detections/<id>")
def show(id: str) -> AnyResponse:
    """Show a detection as it stands: waiting, done, failed or cancelled."""
    record = service().find(id)
    if record.status is JobStatus.DONE:
        return _result_page(record)
    response = make_response(render_template(f"{_PAGES[record.status]}.html", record=record))
    if record.failure is not None:
        response.status_code = status_of_code(record.failure.code)
    response.headers["Cache-Control"] = "no-store"
    return response


_PAGES = {
    JobStatus.QUEUED: "waiting",
    JobStatus.RUNNING: "waiting",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}


def _result_page(record: Record) -> Response:
    found, shown_score = service().result(record.id)
    view = View.of(request.args)
    shown = view.of_result(found, shown_score)
    response = make_response(
        render_template(
            "result.html",
            record=record,
            found=found,
            shown=shown,
            shown_score=shown_score if view.min_score is None else view.min_score,
            view=view,
            colour_of=palette.colour_of,
            formats=FORMATS,
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/detections/<id>/result.json")
def result(id: str) -> Response:
    """Send the result in its documented form, with the colour of each class that the overlay needs."""
    found, shown_score = service().result(id)
    form = found.to_json()
    form["shown_score"] = shown_score
    form["colours"] = {label: palette.colour_of(c) for c, label in enumerate(found.labels)}
    response = jsonify(form)
    response.headers["Cache-Control"] = _PRIVATE_HOUR
    return response


@blueprint.get("/detections/<id>/picture")
def picture(id: str) -> Response:
    """Send the picture as it came, upright and without its metadata."""
    return _send(service().picture(id))


@blueprint.get("/detections/<id>/drawn")
def drawn(id: str) -> Response:
    """Send the drawn picture to look at."""
    return _send(service().drawn(id, View.of(request.args), for_browser=True))


@blueprint.get("/detections/<id>/download")
def download(id: str) -> Response:
    """Send the drawn picture to keep: full size, in the format of the upload."""
    return _send(service().drawn(id, View.of(request.args)), as_download=True)


@blueprint.get("/detections/<id>/exports/<name>")
def export(id: str, name: str) -> Response:
    """Send what is shown of the result as a file of that format."""
    if name not in FORMATS:
        abort(404)
    return _send(service().export(id, FORMATS[name], View.of(request.args)), as_download=True)


@blueprint.post("/detections/<id>/again")
def again(id: str) -> AnyResponse:
    """Detect in the same picture once more, without a new upload."""
    return _go_to(service().again(id))


@blueprint.post("/detections/<id>/cancel")
def cancel(id: str) -> AnyResponse:
    """Stop waiting for a detection."""
    service().jobs.cancel(id)
    return redirect(url_for("pages.show", id=id), 303)


@blueprint.post("/detections/<id>/delete")
def delete(id: str) -> AnyResponse:
    """Delete a detection and its picture now."""
    service().delete(id)
    return redirect(url_for("pages.home"), 303)


@blueprint.get("/healthz")
def healthz() -> str:
    """Tell that this process answers."""
    return "ok\n"


def _go_to(id: str) -> AnyResponse:
    address = url_for("pages.show", id=id)
    if wants_json():
        response = jsonify({"id": id, "url": address})
        response.status_code = 202
        response.headers["Location"] = address
        return response
    return redirect(address, 303)


def _send(file: File, *, as_download: bool = False) -> Response:
    response = make_response(file.data)
    response.headers["Content-Type"] = file.media_type
    response.headers["Cache-Control"] = _PRIVATE_HOUR
    if as_download:
        response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response
