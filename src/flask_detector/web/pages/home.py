"""The upload form and the about page. Both work without JavaScript."""

import hashlib
import io
from contextlib import suppress
from typing import BinaryIO, cast

from flask import Blueprint, render_template, request, session, url_for
from redis.client import Pipeline
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.detectors import AUTO, MAIN_MODEL, Stage
from flask_detector.errors import DetectorError, TooManyPictures, UnknownDetection
from flask_detector.imaging import sniff
from flask_detector.imaging.limits import Limits, empty
from flask_detector.jobs.acceptance import Claim
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.records import DetectionRequest
from flask_detector.structures.labels import plural
from flask_detector.web.core import fetch_url
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.core.view import score
from flask_detector.web.pages.batches import MOST_TOGETHER
from flask_detector.web.pages.visitor import visitor

blueprint = Blueprint("pages", __name__)
blueprint.add_app_template_filter(plural)

_MODEL = "model"  # in the session


@blueprint.get("/")
def home() -> str:
    """Show the upload form, with the model that this browser chose last."""
    models = service().available.by_state()
    here = {info.name for info, state in models if state.stage in {Stage.EMBEDDED, Stage.INSTALLED}}
    default, chosen = service().available.default(), session.get(_MODEL)
    return render_template(
        "pages/home.html",
        settings=service().settings,
        workers=service().jobs.workers(),
        models=models,
        default_model=default,
        chosen_model=chosen if chosen in here else default,
        main_model=MAIN_MODEL,
        pace=service().seconds_by_model(),
        most_together=MOST_TOGETHER,
        refusals=refusals(service().limits),
    )


def refusals(limits: Limits) -> dict[str, dict[str, str]]:
    """Return what a page says of files that it does not even send; `{}` stands for their size."""
    errors: dict[str, DetectorError] = {
        "empty": empty(),
        "bytes": limits.too_large("{}"),
        "pixels": limits.too_many_pixels("{}"),
        "format": sniff.refusal(b""),
    }
    if not service().settings.pictures_by_url:
        errors["url"] = fetch_url.disabled()
    return {name: {"message": error.message, "hint": error.hint} for name, error in errors.items()}


@blueprint.post("/detections")
def create() -> AnyResponse:
    """Take one or more pictures in; go to the detection's page, or to the one of the batch.

    Of several pictures the good ones are accepted, and the batch says why the others were not. Scripts send
    several one by one: with a field `batch` a picture joins that batch, or begins one. A `key` lets them
    repeat a request that had no answer.
    """
    pictures = _sent()
    detection = DetectionRequest(
        request.form.get("model", AUTO),
        score(request.form.get("min_score"), name="min_score"),
        owner=visitor(),
    )
    if len(pictures) > 1:
        id = service().accept_all(pictures, detection)
        answer = go_to(url_for("batches.show", id=id), id=id)
    else:
        source, filename = pictures[0] if pictures else (None, None)
        answer = _create_one(source, filename, detection)
    session[_MODEL] = detection.model
    return answer


def _create_one(source: BinaryIO | None, filename: str | None, detection: DetectionRequest) -> AnyResponse:
    """Take a picture in, which joins a batch where the form has such a field."""
    batch = _batch_to_join() if "batch" in request.form else None

    def join(id: str, pipeline: Pipeline) -> None:
        if batch is not None:
            service().batches.append(batch, id, pipeline)

    id = service().accept(source, detection, filename=filename, claim=_claim(), also=join)
    url = url_for("detection.show", key=id)
    if batch is None:
        return go_to(url, id=id)
    joined = service().batches.of_detections([id]).get(id, batch.id)  # joined before, where this is repeated
    return go_to(url, id=id, batch=joined, batch_url=url_for("batches.show", id=joined))


def _sent() -> list[tuple[BinaryIO, str | None]]:
    """Return the form's pictures, with their names: its files, and the one at its URL."""
    files = request.files.getlist("picture")
    if len(files) > MOST_TOGETHER:
        raise TooManyPictures(
            f"You sent {len(files)} pictures; at most {MOST_TOGETHER} are accepted at once."
        )
    pictures = [(cast(BinaryIO, file.stream), file.filename) for file in files]
    if url := request.form.get("url", "").strip():
        answer = fetch_url.fetch(url)
        pictures.append((io.BytesIO(answer.body), fetch_url.name_of(answer)))
    return pictures


def _batch_to_join() -> Batch:
    """Return this visitor's batch that the form names, while it has room, and else a new one."""
    with suppress(UnknownDetection):
        batch = service().batches.find(request.form["batch"])
        if batch.owner == visitor() and len(batch.detections) < MOST_TOGETHER:
            return batch
    return Batch(new_id(), visitor(), (), ())


def _claim() -> Claim | None:
    """Return what the request goes by, where its sender may repeat it."""
    key = request.form.get("key")
    return Claim(hashlib.sha256(f"page:{visitor()}\n{key}".encode()).hexdigest()) if key else None


@blueprint.get("/about")
def about() -> str:
    """Say which models there are, what the limits are, and how the queue is doing."""
    return render_template(
        "pages/about.html",
        settings=service().settings,
        workers=service().jobs.workers(),
        queued=service().jobs.count(),
        models=service().available.by_state(),
        default_model=service().available.default(),
        labels={info.name: service().models.labels(info.name) for info in service().models.known()},
        pace=service().seconds_by_model(),
    )
