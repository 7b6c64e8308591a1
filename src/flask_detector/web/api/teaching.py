"""Teaching models new classes, for an operator: runs, how far they are, and what came of them."""

from typing import Annotated, Any, Literal

from flask import Response, jsonify, url_for
from pydantic import Field
from typing_extensions import TypedDict

from flask_detector import errors as e
from flask_detector.jobs.lessons import LessonRequest, Run
from flask_detector.jobs.schema import ErrorFacts, failure_form
from flask_detector.jobs.states import JobStatus
from flask_detector.teach.lesson import DEFAULT_BASE
from flask_detector.web.api.operations import JSON, Success, delete, get, post
from flask_detector.web.api.params import Strict, from_json
from flask_detector.web.api.responses import Status
from flask_detector.web.core import request_bodies, teaching
from flask_detector.web.core.auth import require_admin
from flask_detector.web.core.renditions import File
from flask_detector.web.core.responses import send
from flask_detector.web.core.service import service

_OF_ADMINS = (e.KeyMissing, e.UnknownKey, e.KeyNotAllowed, e.ServiceError, e.StorageUnavailable)
_KEY = "-H 'Authorization: Bearer KEY'"


class NewLesson(Strict):
    """What is to be taught."""

    collection: Annotated[str, Field(description="The id of the collection that it is learned from.")]
    name: Annotated[str, Field(description="Of the new model.", max_length=64)]
    base: Annotated[
        str,
        Field(
            description="The model to begin with: the embedded one, or an RTMDet-Ins that is installed.",
            max_length=64,
        ),
    ] = DEFAULT_BASE
    classes: Annotated[
        tuple[Annotated[str, Field(max_length=100)], ...],
        Field(description="Those to teach; empty for all that are marked.", max_length=100),
    ] = ()
    minutes: Annotated[
        float, Field(description="That it may take.", ge=0.1, le=10_000, allow_inf_nan=False)
    ] = 5.0


class ProgressForm(TypedDict):
    """How far a run is."""

    what: Annotated[str, Field(description="It does, in words.")]
    part: Annotated[float, Field(description="Of what is to be learned, 0 to 1.")]
    seconds_left: float | None
    losses: Annotated[list[list[float]], Field(description="Part and loss.")]
    proven: Annotated[
        list[list[float]], Field(description="Part, AP50 and AP on the pictures that prove it.")
    ]
    remarks: Annotated[list[str], Field(description="Sentences for people.")]


class RunResponse(TypedDict):
    """A run of teaching."""

    id: str
    status: Status
    collection: str
    base: str
    name: str
    pair: Annotated[str, Field(description="The name of the model that finds the base's classes, too.")]
    classes: list[str]
    minutes: float
    created_at: str
    started_at: str | None
    ended_at: str | None
    position: Annotated[int | None, Field(description="How many runs are before it in the queue.")]
    progress: ProgressForm
    error: Annotated[ErrorFacts | None, Field(description="Why it failed.")]
    card: Annotated[
        dict[str, Any] | None,
        Field(description="Once it is done: how good it is on pictures that it has not learned from."),
    ]
    models: Annotated[
        dict[str, Literal["absent", "installed"]], Field(description="Whether its models were added here.")
    ]
    url: str


class RunList(TypedDict):
    """Runs, the newest first."""

    runs: list[RunResponse]


@post(
    "/models/teach",
    responses={202: Success("Queued", RunResponse, headers={"Location": "Where to ask how far it is"})},
    errors=(
        *_OF_ADMINS,
        e.BadParameter,
        e.UnknownCollection,
        e.ModelConflict,
        e.ModelNotInstalled,
        e.TeachingError,
        e.BadTrainingData,
        e.QueueFull,
    ),
    body={JSON: NewLesson},
    example=f'{_KEY} --json \'{{"collection": "ID", "name": "coins"}}\' $API/models/teach',
)
def teach_model() -> tuple[Response, int, dict[str, str]]:
    """Teach a model the classes of a collection (admin key)."""
    require_admin()
    asked = from_json(NewLesson, request_bodies.whole())
    collection = service().collections.find(asked.collection)
    request = LessonRequest(collection.id, asked.base, asked.name.strip(), asked.classes, asked.minutes)
    id = teaching.begin(service(), collection, request)
    run = service().lessons.find(id)
    return jsonify(_form(run)), 202, {"Location": url_for("api.show_run", id=id)}


@get(
    "/models/teach",
    responses={200: Success("The runs", RunList)},
    errors=_OF_ADMINS,
    example=f"{_KEY} $API/models/teach",
)
def list_runs() -> Response:
    """List the runs of teaching (admin key)."""
    require_admin()
    form: RunList = {"runs": [_form(run, with_card=False) for run in service().lessons.all()]}
    return jsonify(form)


@get(
    "/models/teach/<id>",
    responses={200: Success("The run", RunResponse)},
    errors=(*_OF_ADMINS, e.UnknownRun),
    example=f"{_KEY} $API/models/teach/$RUN",
)
def show_run(id: str) -> Response:
    """Show how far a run of teaching is, or what came of it (admin key)."""
    require_admin()
    return jsonify(_form(service().lessons.find(id)))


@delete(
    "/models/teach/<id>",
    responses={204: Success("Cancelled, or deleted", media_types=())},
    errors=(*_OF_ADMINS, e.UnknownRun),
    example=f"-X DELETE {_KEY} $API/models/teach/$RUN",
)
def stop_run(id: str) -> tuple[str, int]:
    """Cancel a run of teaching, or delete one that has ended; its models stay (admin key)."""
    require_admin()
    teaching.stop_or_delete(service(), service().lessons.find(id))
    return "", 204


@post(
    "/models/teach/<id>/again",
    responses={202: Success("Queued, if it had failed", RunResponse)},
    errors=(*_OF_ADMINS, e.UnknownRun),
    example=f"-X POST {_KEY} $API/models/teach/$RUN/again",
)
def teach_again(id: str) -> tuple[Response, int]:
    """Let a run of teaching that failed go on from its last checkpoint (admin key)."""
    require_admin()
    service().lessons.try_again(id)
    return jsonify(_form(service().lessons.find(id))), 202


@post(
    "/models/teach/<id>/add",
    responses={202: Success("Begun", RunResponse)},
    errors=(*_OF_ADMINS, e.UnknownRun, e.ModelConflict, e.ModelError, e.BadParameter),
    example=f"-X POST {_KEY} $API/models/teach/$RUN/add",
)
def add_taught(id: str) -> tuple[Response, int]:
    """Add a taught model and its pair to the models of the server (admin key)."""
    require_admin()
    run = service().lessons.find(id)
    teaching.add(service(), run)
    return jsonify(_form(run)), 202


@get(
    "/models/teach/<id>/model",
    responses={200: Success("A file of safetensors", media_types=("application/octet-stream",))},
    errors=(*_OF_ADMINS, e.UnknownRun),
    example=f"{_KEY} -o coins.safetensors $API/models/teach/$RUN/model",
)
def taught_file(id: str) -> Response:
    """Get a taught model's file, to add it elsewhere (admin key)."""
    require_admin()
    run = service().lessons.find(id)
    data = teaching.model(service(), run)
    file = File(data, "application/octet-stream", f"{run.request.name}.safetensors")
    return send(file, as_download=True)


def _form(run: Run, *, with_card: bool = True) -> RunResponse:
    request, now = run.request, run.progress
    # Not before the workers have found them: until then a picture for them would be refused.
    models = {*service().models.installed()} - service().model_changes.at_work().keys()
    return {
        "id": run.id,
        "status": run.status.value,
        "collection": request.collection,
        "base": request.base,
        "name": request.name,
        "pair": run.pair,
        "classes": list(request.classes),
        "minutes": request.minutes,
        "created_at": run.created_at.isoformat(),
        "started_at": None if run.started_at is None else run.started_at.isoformat(),
        "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
        "position": run.position,
        "progress": {
            "what": now.what,
            "part": now.part,
            "seconds_left": now.seconds_left,
            "losses": [list(one) for one in now.losses],
            "proven": [list(one) for one in now.proven],
            "remarks": now.said,
        },
        "error": None if run.failure is None else failure_form(run.failure),
        "card": teaching.report(service(), run)["card"]
        if with_card and run.status is JobStatus.DONE
        else None,
        "models": {name: "installed" if name in models else "absent" for name in (request.name, run.pair)},
        "url": url_for("api.show_run", id=run.id),
    }
