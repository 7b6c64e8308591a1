"""The operator's page of models: install, add, try and remove them.

A file of weights is far larger than any picture. Only for who is signed in it is taken in, straight onto the
disk that models are on.
"""

import os
from typing import BinaryIO, cast

from flask import Blueprint, current_app, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.detectors import AUTO, Stage
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.onnx import isolated
from flask_detector.detectors.onnx.families import FAMILIES
from flask_detector.detectors.zoo import custom
from flask_detector.errors import BadParameter
from flask_detector.jobs.records import DetectionRequest
from flask_detector.settings import MEGABYTE
from flask_detector.web.core.model_changes import MOST_BYTES
from flask_detector.web.core.multipart import Request
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.pages.admin import operator, require_operator
from flask_detector.web.pages.visitor import visitor

blueprint = Blueprint("operator_models", __name__, url_prefix="/admin/models")
blueprint.before_request(require_operator)

_EXAMPLE = "example.jpg"

# A model that is being fetched stands with what is there already.
_HERE = set(Stage) - {Stage.ABSENT, Stage.FAILED}


@blueprint.before_app_request
def _take_large_files() -> None:
    # Before anything looks for a form's token, and so reads the form.
    if request.endpoint == "operator_models.add" and operator() is not None:
        changes = service().model_changes
        changes.check_room(request.content_length or 0)
        request.max_content_length = MOST_BYTES + MEGABYTE
        cast(Request, request).files_folder = changes.uploads


@blueprint.get("")
def show() -> str:
    """Show all models, what is being done with them, and the form that adds one."""
    changes, store = service().model_changes, service().models
    at_work = changes.at_work()
    models = [(info, at_work.get(info.name, store.state(info.name))) for info in store.known()]
    return render_template(
        "pages/models.html",
        operator=operator(),
        groups=[
            ("Installed", [row for row in models if row[1].stage in _HERE]),
            ("Available", [row for row in models if row[1].stage not in _HERE]),
        ],
        adding={name: state for name, state in at_work.items() if name not in {i.name for i, _ in models}},
        ended=changes.ended(),
        elsewhere=changes.hosts_elsewhere(),
        seconds_of=service().seconds_by_model(),
        default_model=service().available.default(),
        is_chosen=service().settings.model != AUTO,
        variants=list(Variant),
        families=FAMILIES,
        most_bytes=MOST_BYTES,
    )


@blueprint.post("/add")
def add() -> AnyResponse:
    """Take a file of weights in, with those that it needs beside it, and begin to add it."""
    files = request.files.getlist("file")
    if not files:
        raise BadParameter("There is no file.", hint="Choose a file of weights.", field="file")
    name = request.form.get("name", "").strip()
    changes = service().model_changes
    changes.check_new(name)
    labels = request.form.get("labels", "").strip()
    options = request.form.get("options", "").split()
    with changes.new_files([file.filename or "" for file in files]) as kept:
        for file, path in zip(files, kept, strict=True):
            os.link(cast(str, file.stream.name), path)  # the form's own name of it ends with the request
        changes.add(
            name,
            isolated.main_file(kept),
            variant=request.form.get("variant") or None,
            labels=[one.strip() for one in labels.split("\n" if "\n" in labels else ",")] if labels else [],
            options=custom.options_from(options),
        )
    return _back(name)


@blueprint.post("/<name>/install")
def install(name: str) -> AnyResponse:
    """Begin to fetch a published model."""
    service().model_changes.install(name)
    return _back(name)


@blueprint.post("/<name>/cancel")
def cancel(name: str) -> AnyResponse:
    """Stop what is being done with a model."""
    service().model_changes.cancel(name)
    return _back(name)


@blueprint.post("/<name>/remove")
def remove(name: str) -> AnyResponse:
    """Delete a model's files."""
    service().model_changes.remove(name)
    return _back()


@blueprint.post("/<name>/dismiss")
def dismiss(name: str) -> AnyResponse:
    """Say no more of how a change ended."""
    service().model_changes.forget(name)
    return _back()


@blueprint.post("/<name>/try")
def try_out(name: str) -> AnyResponse:
    """Detect with a model in a picture that comes with the form, or else in the example."""
    detection = DetectionRequest(name, owner=visitor())
    sent = request.files.get("picture")
    if sent is not None:
        id = service().accept(cast(BinaryIO, sent.stream), detection, filename=sent.filename)
    else:
        with current_app.open_resource(f"static/{_EXAMPLE}") as example:
            id = service().accept(cast(BinaryIO, example), detection, filename=_EXAMPLE)
    return go_to(url_for("detection.show", key=id), id=id)


def _back(name: str = "") -> AnyResponse:
    return go_to(url_for("operator_models.show", _anchor=f"model-{name}" if name else None), id=name)
