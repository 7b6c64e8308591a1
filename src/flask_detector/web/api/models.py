"""Models and their labels; for an operator, how models come and go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from flask import Response, jsonify, request, url_for
from werkzeug.routing import BaseConverter

from flask_detector import errors as e
from flask_detector.detectors import ModelState, Stage
from flask_detector.detectors.onnx import isolated
from flask_detector.detectors.zoo import custom
from flask_detector.errors import BadParameter, UnknownModel
from flask_detector.web.api import uploads
from flask_detector.web.api.operations import Success, blueprint, delete, get, post
from flask_detector.web.api.params import LabelsQuery, ModelFiles, ModelQuery, from_fields
from flask_detector.web.api.responses import LabelList, ModelList, ModelProgress, model_list
from flask_detector.web.core import request_bodies
from flask_detector.web.core.auth import require_admin
from flask_detector.web.core.model_changes import MOST_BYTES, ModelChanges
from flask_detector.web.core.multipart import Request
from flask_detector.web.core.service import service

_OF_ADMINS = (e.KeyMissing, e.UnknownKey, e.KeyNotAllowed)


class _ModelName(BaseConverter):
    """A name that a model can have: what teaches them is beside them, and has other methods."""

    regex = r"(?!teach$)[^/]+"


blueprint.record_once(lambda state: state.app.url_map.converters.update(model=_ModelName))


@get(
    "/models",
    responses={200: Success("The models", ModelList)},
    example="$API/models",
)
def models() -> Response:
    """List the models and whether they are installed."""
    return jsonify(model_list())


@get(
    "/models/<model:name>",
    responses={200: Success("The model", ModelProgress)},
    errors=(*_OF_ADMINS, UnknownModel),
    example="-H 'Authorization: Bearer KEY' $API/models/rtmdet-ins-m",
)
def model(name: str) -> Response:
    """Show what is being done with a model, or how that ended (admin key)."""
    require_admin()
    return jsonify(_progress(name))


@post(
    "/models/<model:name>",
    responses={202: Success("Begun", ModelProgress, headers={"Location": "Where to ask how far it is"})},
    errors=(
        *_OF_ADMINS,
        BadParameter,
        UnknownModel,
        e.ModelConflict,
        e.ModelError,
        e.RequestError,
        e.RequestTooLarge,
        e.StorageUnavailable,
    ),
    query=ModelQuery,
    body={"application/octet-stream": None, uploads.FORM: ModelFiles},
    body_required=False,
    example="-H 'Authorization: Bearer KEY' -X POST -T birds.pth '$API/models/birds?labels=jay,tit'",
)
def change_model(name: str) -> tuple[Response, int, dict[str, str]]:
    """Install a published model, or add the one whose weights file is sent (admin key).

    A model of several files, such as OpenVINO's `.xml` and `.bin`, comes as a form.
    """
    require_admin()
    given = from_fields(ModelQuery, request.args)
    changes = service().model_changes
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        try:
            changes.install(name)
        except UnknownModel as error:
            hint = f"{error.hint} To add a model of your own, send its file as the body; this one is empty."
            raise UnknownModel(error.message, hint=hint) from error
    else:
        changes.check_new(name)
        changes.check_room(request.content_length or 0)
        request.max_content_length = MOST_BYTES
        options = custom.options_from(given.option)
        with _files(changes, given.filename) as kept:
            changes.add(name, kept, variant=given.variant, labels=given.labels, options=options)
    return jsonify(_progress(name)), 202, {"Location": url_for("api.model", name=name)}


@contextmanager
def _files(changes: ModelChanges, filename: str) -> Iterator[Path]:
    """Keep what is sent; give the file that has the model."""
    if request.mimetype == uploads.FORM:
        cast(Request, request).files_folder = changes.uploads
        sent = [file for group in request.files.listvalues() for file in group]
        if not sent:
            raise BadParameter("There is no file.", hint="Send it as the form's field file.", field="file")
        with changes.new_files([file.filename or "" for file in sent]) as kept:
            for file, path in zip(sent, kept, strict=True):
                os.link(cast(str, file.stream.name), path)
            yield isolated.main_file(kept)
        return
    with changes.new_files([filename]) as (path,):
        with path.open("xb") as content:
            request_bodies.copy_to(content)
        yield path


@delete(
    "/models/<model:name>",
    responses={204: Success("Removed, or being cancelled", media_types=())},
    errors=(*_OF_ADMINS, BadParameter, UnknownModel, e.ModelNotInstalled, e.ModelConflict, e.ModelError),
    example="-X DELETE -H 'Authorization: Bearer KEY' $API/models/birds",
)
def remove_model(name: str) -> tuple[str, int]:
    """Remove a model, or cancel what is being done with it (admin key)."""
    require_admin()
    changes = service().model_changes
    if name in changes.at_work():
        changes.cancel(name)
    else:
        changes.remove(name)
    return "", 204


@get(
    "/labels",
    responses={200: Success("The labels by class id", LabelList)},
    errors=(BadParameter, UnknownModel),
    query=LabelsQuery,
    example="'$API/labels?model=nanodet-g'",
)
def labels() -> Response:
    """List the classes that a model can detect."""
    asked = from_fields(LabelsQuery, request.args).model
    name = service().available.resolve(asked)
    answer: LabelList = {"model": name, "labels": list(service().models.labels(name))}
    return jsonify(answer)


def _progress(name: str) -> ModelProgress:
    changes = service().model_changes
    state = changes.at_work().get(name)  # looked at first: how it ended is kept before it is at work no more
    ended = next((change for change in changes.ended() if change.name == name), None)
    if state is None and ended is not None and ended.message:
        state = ModelState(Stage.FAILED, note=f"{ended.message} {ended.hint}".strip())
    state = state or service().models.state(name)
    note = state.note or (" ".join(ended.notes) if ended is not None else "")
    return {"name": name, "state": state.stage.value, "fraction": state.fraction, "note": note}
