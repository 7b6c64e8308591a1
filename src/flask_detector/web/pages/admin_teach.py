"""The operator's pages of teaching: begin a run from a collection, follow it, look at what came of it."""

import re
from collections.abc import Mapping
from dataclasses import replace

from flask import Blueprint, Response, abort, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.collections.documents import State
from flask_detector.errors import BadTrainingData, ModelNotInstalled, UnknownPicture
from flask_detector.formats.file_names import safe_stem
from flask_detector.jobs.lessons import LessonRequest, Run
from flask_detector.jobs.states import JobStatus
from flask_detector.process.extras import INSTALL_TEACHING
from flask_detector.teach.lesson import DEFAULT_BASE
from flask_detector.web.core import renditions, teaching, teaching_chart
from flask_detector.web.core.progress_steps import TEACHING_STEPS, teaching_step_of
from flask_detector.web.core.renditions import File
from flask_detector.web.core.responses import go_to, here, send
from flask_detector.web.core.service import service
from flask_detector.web.pages.admin import operator, require_operator

blueprint = Blueprint("operator_teach", __name__, url_prefix="/admin/teach")

_MINUTES = (2, 5, 10, 20, 60, 240)
_USUAL_MINUTES = 5
_IN_DOUBT_SHOWN = 12
_PROVEN_SHOWN = 60
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@blueprint.before_request
def _require_session() -> AnyResponse | None:
    return require_operator(back=here() if request.method == "GET" else None)


@blueprint.get("")
def index() -> str:
    """Show all runs."""
    return render_template(
        "pages/teaching.html",
        operator=operator(),
        runs=service().lessons.all(),
        installed=service().models.installed(),
        can_teach=teaching.can_teach(service()),
        install_command=INSTALL_TEACHING,
    )


@blueprint.get("/new")
def new() -> str:
    """Show the form that begins a run, and what the run would do."""
    collection = service().collections.find(request.args.get("collection", ""))
    entries = service().pictures.entries(collection.id)
    in_doubt = [entry for entry in entries if entry.state is not State.VERIFIED]
    asked = _request(request.args, collection.id)
    try:
        _check_classes(request.args)
        plan, refusal = teaching.plan(service(), collection, asked), None
    except (BadTrainingData, ModelNotInstalled) as error:
        plan, refusal = None, error
    shown = in_doubt[:_IN_DOUBT_SHOWN]
    return render_template(
        "pages/teach.html",
        operator=operator(),
        collection=collection,
        asked=replace(asked, name=asked.name or _free_name(collection.name, asked.base)),
        plan=plan,
        refusal=refusal,
        bases=teaching.bases(service()),
        minutes=_MINUTES,
        counts=teaching.class_counts(service(), collection),
        in_doubt=shown,
        in_doubt_number=len(in_doubt),
        details=service().pictures.details(collection.id, shown),
        waiting=sum(not run.status.is_final for run in service().lessons.all()),
        can_teach=teaching.can_teach(service()),
        install_command=INSTALL_TEACHING,
    )


@blueprint.post("/new")
def begin() -> AnyResponse:
    """Queue a run."""
    collection = service().collections.find(request.form.get("collection", ""))
    _check_classes(request.form)
    id = teaching.begin(service(), collection, _request(request.form, collection.id))
    return go_to(url_for(".show", id=id), id=id)


@blueprint.get("/marked/<collection>/<picture>")
def small_copy(collection: str, picture: str) -> Response:
    """Send a small copy of a picture of a collection."""
    return send(renditions.collected_thumbnail(service(), collection, picture))


@blueprint.post("/marked/<collection>/<picture>")
def marked(collection: str, picture: str) -> AnyResponse:
    """Keep that everything is marked in a picture of a collection."""
    pictures = service().pictures
    annotations, revision = pictures.annotations(collection, picture)
    whole = replace(annotations, verified=True)
    pictures.correct(collection, picture, whole, replaces={revision.version}, by="an operator")
    return go_to(url_for(".new", collection=collection, _anchor="in-doubt"))


@blueprint.get("/<id>")
def show(id: str) -> str:
    """Show how far a run is, or what came of it."""
    run = service().lessons.find(id)
    report = teaching.report(service(), run) if run.status is JobStatus.DONE else None
    return render_template(
        "pages/taught.html",
        operator=operator(),
        run=run,
        report=report,
        steps=TEACHING_STEPS,
        step=teaching_step_of(run.status, run.progress.what),
        chart=teaching_chart.chart_of(run.progress),
        remarks=[
            _pieces(text, report["pictures"] if report else {})
            for text in (report["card"]["remarks"] if report else run.progress.said)
        ],
        proof=report["proof"][:_PROVEN_SHOWN] if report else [],
        installed=service().models.installed(),
        adding=service().model_changes.at_work(),
        failed=[one for one in service().model_changes.ended() if one.message and one.name in _names(run)],
        can_teach=teaching.can_teach(service()),
        boxes=teaching_chart.boxes,
        grid=teaching_chart.grid,
    )


@blueprint.get("/<id>/pictures/<picture>")
def picture(id: str, picture: str) -> Response:
    """Send a small copy of a picture that proved a run's model, as the collection has it."""
    run = service().lessons.find(id)
    if picture not in teaching.report(service(), run)["pictures"].values():
        raise UnknownPicture("There is no such picture in this run.")
    return send(renditions.collected_thumbnail(service(), run.request.collection, picture))


@blueprint.get("/<id>/model")
def model(id: str) -> Response:
    """Send a taught model's file."""
    run = service().lessons.find(id)
    data = teaching.model(service(), run)
    return send(File(data, "application/octet-stream", f"{run.request.name}.safetensors"), as_download=True)


@blueprint.post("/<id>/<any(cancel,delete,again,add):action>")
def change(id: str, action: str) -> AnyResponse:
    """Cancel a run, delete it, let one that failed go on, or add its models."""
    run = service().lessons.find(id)
    match action:
        case "cancel":
            service().lessons.cancel(id)
        case "again":
            service().lessons.try_again(id)
        case "add":
            teaching.add(service(), run)
        case "delete":
            if not run.status.is_final:
                abort(409)
            teaching.stop_or_delete(service(), run)
            return go_to(url_for(".index"))
    return go_to(url_for(".show", id=id))


def _request(given: MultiDict[str, str], collection: str) -> LessonRequest:
    """Return what a form or a query asks for."""
    minutes = given.get("minutes", type=float)
    return LessonRequest(
        collection,
        given.get("base", DEFAULT_BASE),
        given.get("name", "").strip(),
        tuple(given.getlist("class")),
        _USUAL_MINUTES if minutes is None else min(max(minutes, 0.1), 10_000.0),
    )


def _check_classes(given: MultiDict[str, str]) -> None:
    """Raise BadTrainingData for a form, which has a name as well, in which no class is chosen."""
    if "name" in given and "class" not in given:
        raise BadTrainingData("No class is chosen.", hint="Choose at least one that has objects.")


def _free_name(collection: str, base: str) -> str:
    """Return a name for a model that none has yet, after the collection's: the next version of it."""
    stem = _NOT_IN_NAMES.sub("-", safe_stem(collection).casefold()).strip("-._")[:40] or "taught"
    taken, name, number = teaching.taken_names(service()), stem, 1
    while {name, f"{base}-with-{name}"} & taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _names(run: Run) -> set[str]:
    return {run.request.name, run.pair}


def _pieces(text: str, pictures: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Return a sentence in pieces, and the ids of those that are names of pictures."""
    if not pictures:
        return [(text, None)]
    names = "|".join(re.escape(name) for name in sorted(pictures, key=len, reverse=True))
    return [(piece, pictures.get(piece)) for piece in re.split(f"({names})", text) if piece]
