"""One detection: its page, whatever became of it, and the files that belong to it.

The same pages stand at three URLs: ``/detections/<id>`` for whoever sent the picture, and ``/shared/<token>``
and ``/shared/batches/<token>/<place>`` for those who were given a link to it or to its batch, where nothing
can be changed.
"""

from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, g, jsonify, render_template, request, url_for

from flask_detector.errors import DetectionExpired, UnknownDetection, kind_of
from flask_detector.formats import FORMATS
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.visualization import colors
from flask_detector.web.core import annotations, archives, renditions, sse
from flask_detector.web.core.compression import compress
from flask_detector.web.core.errors import status_of
from flask_detector.web.core.etags import REVALIDATED, send_if_changed, send_once
from flask_detector.web.core.progress_steps import steps
from flask_detector.web.core.responses import send
from flask_detector.web.core.service import service
from flask_detector.web.core.view import SCORE_BARS, View, score
from flask_detector.web.pages.batches import Place, batch_url_of, place_of, shared_picture
from flask_detector.web.pages.visitor import may_see

SHARED, SHARED_IN_BATCH = "shared", "shared_in_batch"

blueprint = Blueprint("detection", __name__)


@blueprint.url_value_preprocessor
def _find(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Look the detection up by what the URL says before its end; `g.record` holds it for the page."""
    found = values or {}
    g.url_values = {name: found.pop(name) for name in ("key", "token", "place") if name in found}
    g.is_shared = request.blueprint in {SHARED, SHARED_IN_BATCH}
    id = _id(**g.url_values)
    try:
        g.record = service().jobs.find(id)
    except DetectionExpired:
        g.batch_url = None if g.is_shared else batch_url_of(id)
        raise
    if not g.is_shared and not may_see(g.record):
        raise UnknownDetection("There is no such detection.")


def _id(*, key: str = "", token: str = "", place: int = 0) -> str:
    if request.blueprint == SHARED_IN_BATCH:
        return shared_picture(token, place)
    return service().share_links.opened_by(key) if request.blueprint == SHARED else key


@blueprint.url_defaults
def _add_key(endpoint: str, values: dict[str, Any]) -> None:
    """Let links from a detection's page to its files need no values of their own."""
    if "url_values" in g and endpoint.startswith(f"{request.blueprint}."):
        for name, value in g.url_values.items():
            values.setdefault(name, value)


@blueprint.get("")
def show() -> tuple[str, int]:
    """Show a detection as it stands: waiting, done, failed or cancelled."""
    record: Record = g.record
    if record.status is JobStatus.DONE:
        return _result_page(record), HTTPStatus.OK
    if not record.status.is_final:
        return _waiting_page(record), HTTPStatus.OK
    status = HTTPStatus.OK if record.failure is None else status_of(kind_of(record.failure.code))
    return render_template(f"pages/{record.status}.html", record=record, place=_place(record)), status


def _waiting_page(record: Record) -> str:
    return render_template(
        "pages/waiting.html",
        record=record,
        place=_place(record),
        url=lambda page: url_for(f".{page}"),
        state=sse.state_of(record),
        steps=steps(has_masks=service().will_outline(record)),
    )


def _result_page(record: Record) -> str:
    view = View.of(request.args)
    found, shown_score = service().jobs.result(record.id, corrected=view.corrected)
    view = view.without_only(found.counts())
    colours = colors.colours_of(found.class_ids.tolist())
    return render_template(
        "pages/result.html",
        record=record,
        place=_place(record),
        found=found,
        shown=view.of_result(found, shown_score),
        shown_score=shown_score if view.min_score is None else view.min_score,
        view=view,
        colours=colours,
        colours_by_label={found.labels[c]: colour for c, colour in colours.items()},
        makes_masks=service().jobs.result_form(record.id, corrected=False)["has_masks"],
        scores=np.histogram(found.scores, bins=SCORE_BARS, range=(0, 1))[0].tolist(),
        formats=FORMATS,
        format_groups=archives.FORMAT_GROUPS.items(),
        other_models=[name for name in service().available.usable() if name != found.model],
        compared_with=[] if g.is_shared else _others(record),
        share_token=None if g.is_shared else service().share_links.token_of(record.id),
    )


def _others(record: Record) -> list[Record]:
    """Return the finished detections of the same picture, newest first."""
    records = service().jobs.find_all(service().same_picture.others(record.id))
    found = [one for one in records if one.used_model is not None and may_see(one)]
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def _place(record: Record) -> Place | None:
    return None if request.blueprint == SHARED else place_of(record)


@blueprint.get("/result.json")
def result() -> Response:
    """Send the result as documented, with the colours of the classes for the overlay."""
    corrected = View.of(request.args).corrected
    found, shown_score = service().jobs.result(g.record.id, corrected=corrected)
    by_class = colors.colours_of(found.class_ids.tolist())
    colours = {found.labels[c]: colour for c, colour in by_class.items()}
    document = found.to_json() | {
        "shown_score": shown_score,
        "colours": colours,
        "text_colours": {label: colors.text_colour_on(colour) for label, colour in colours.items()},
    }
    return compress(send_if_changed(jsonify(document)))


@blueprint.get("/annotations")
def show_annotations() -> Response:
    """Send the objects as a person has corrected them, or as the model said."""
    masks = request.args.get("masks")
    lowest = score(request.args.get("score"), name="score")
    return annotations.show(g.record, "polygon" if masks == "polygon" else "rle", lowest)


@blueprint.get("/events")
def events() -> Response:
    """Send the detection's state now and whenever it changes, until it has ended."""
    return sse.listen(g.record)


@blueprint.get("/state")
def state() -> Response:
    """Send the detection's state once."""
    return jsonify(sse.state_of(g.record))


@blueprint.get("/picture")
def picture() -> Response:
    """Send the picture as it came, upright and without its metadata."""
    return send(renditions.picture(service(), g.record))


@blueprint.get("/thumbnail")
def thumbnail() -> Response:
    """Send a small copy of the picture."""
    return send(renditions.thumbnail(service(), g.record))


@blueprint.get("/drawn")
def drawn() -> Response:
    """Send the drawn picture to look at; the query may say what is drawn."""
    view = View.of(request.args)
    return send_once(lambda: renditions.drawn(service(), g.record, view, for_browser=True), g.record)


@blueprint.get("/download")
def download() -> Response:
    """Send the drawn picture to keep: full size, in the format of the upload or the one asked for."""
    view, output = View.of(request.args), request.args.get("format")
    return send_once(
        lambda: renditions.drawn(service(), g.record, view, output=output), g.record, as_download=True
    )


@blueprint.get("/exports/<name>")
def export(name: str) -> Response:
    """Send what is shown of the result as a file of that format."""
    if name not in FORMATS:
        abort(404)
    view = View.of(request.args)
    return send_once(
        lambda: renditions.export(service(), g.record, view, FORMATS[name]), g.record, as_download=True
    )


@blueprint.get("/everything.zip")
def everything() -> Response:
    """Send the drawn picture, the picture and the data in each format, in one file."""
    name = f"detected_{renditions.stem_of(g.record)}.zip"
    return archives.of_detection(service(), g.record, View.of(request.args), name)


@blueprint.get("/instances/<int:number>.png")
def instance(number: int) -> Response:
    """Send one instance, cut out; they are numbered from 0, best score first."""
    file = renditions.cutout(service(), g.record, number, corrected=View.of(request.args).corrected)
    if file is None:
        abort(404)
    response = send(file, as_download=True)
    response.headers["Cache-Control"] = REVALIDATED  # it is another one when the result is corrected
    return response
