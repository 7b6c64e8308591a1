"""The JSON form of a detection, as the API answers it and webhooks send it.

The types here are what the API's description is generated from.
"""

from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from flask_detector.jobs.records import Failure, Record
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import Detections, MaskEncoding


class ErrorFacts(TypedDict):
    """What went wrong, in words for people, and a code for programs."""

    code: Annotated[str, Field(description="One of the documented codes; the list is closed.")]
    message: Annotated[str, Field(description="What is the matter.")]
    hint: Annotated[str, Field(description="What to do; it may be empty.")]
    field: NotRequired[Annotated[str, Field(description="The parameter or field that is wrong.")]]
    changed_at: NotRequired[
        Annotated[str | None, Field(description="When somebody else changed it (ISO 8601, UTC).")]
    ]
    changed_by: NotRequired[Annotated[str | None, Field(description="Who that was.")]]


class Error(TypedDict):
    """The one form of every error."""

    error: ErrorFacts


class Rle(TypedDict):
    """COCO's compressed run-length encoding of a mask in the whole picture."""

    size: Annotated[
        list[int], Field(description="Height and width of the picture.", min_length=2, max_length=2)
    ]
    counts: str


class Instance(TypedDict):
    """One object that was found."""

    label: str
    class_id: Annotated[int, Field(ge=0, description="The label's place in `labels`.")]
    score: Annotated[float, Field(ge=0, le=1)]
    box: Annotated[
        list[float],
        Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels from the upper left corner."),
    ]
    source: NotRequired[
        Annotated[
            Literal["model", "person"],
            Field(description="Of a corrected result: who said it. A person drew or changed it."),
        ]
    ]
    verified: NotRequired[
        Annotated[bool, Field(description="Of a corrected result: whether a person agrees with it.")]
    ]
    model_score: NotRequired[
        Annotated[
            float | None,
            Field(description="Of a corrected result: the model's score; null if a person added the object."),
        ]
    ]
    area: NotRequired[Annotated[int, Field(ge=0, description="How many pixels the mask covers.")]]
    polygons: NotRequired[
        Annotated[
            list[list[list[list[float]]]],
            Field(
                description="With masks=polygon, for each part of the mask: its outline, then its holes, "
                "each a ring of [x, y] along the edges of pixels."
            ),
        ]
    ]
    mask: NotRequired[Annotated[Rle, Field(description="With masks=rle, of a model that has masks.")]]


class Result(TypedDict):
    """What was found in a picture, best score first: version 1 of the form in docs/results.md."""

    version: Literal[1]
    model: Annotated[str, Field(description="The model that found them.")]
    width: Annotated[int, Field(description="Of the picture as a viewer shows it, in pixels.")]
    height: int
    corrected: Annotated[bool, Field(description="Whether a person has corrected it.")]
    instances: list[Instance]
    labels: Annotated[list[str], Field(description="All that the model knows, by class id.")]
    has_masks: bool
    timings_ms: Annotated[dict[str, float], Field(description="Milliseconds of each stage, in their order.")]


class Detection(TypedDict):
    """A detection as it stands."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    status: Annotated[
        Literal["queued", "running", "done", "failed", "cancelled"],
        Field(description="The last three are final."),
    ]
    filename: Annotated[str, Field(description="As the picture was called when it was sent.")]
    width: Annotated[int, Field(description="Of the picture, in pixels.")]
    height: int
    model: Annotated[str, Field(description="The model asked for; the result names the one that was used.")]
    min_score: Annotated[
        float | None, Field(description="The minimum score asked for; null: the model's own.")
    ]
    classes: Annotated[list[str] | None, Field(description="The labels that alone are kept; null for all.")]
    created_at: Annotated[str, Field(description="When it was accepted (ISO 8601, UTC).")]
    started_at: str | None
    ended_at: str | None
    expires_at: Annotated[str, Field(description="When it and its picture are deleted.")]
    position: Annotated[int | None, Field(description="How many pictures are before it in the queue.")]
    stage: Annotated[str | None, Field(description="What the model is doing while it runs.")]
    error: Annotated[ErrorFacts | None, Field(description="Why it failed.")]
    result: Annotated[Result | None, Field(description="What was found, once it is done.")]


def detection_form(record: Record, found: dict[str, Any] | None, masks: MaskEncoding) -> Detection:
    """Return the form of a detection; `found` is the result as it is kept."""
    return {
        "id": record.id,
        "status": record.status.value,
        "filename": record.filename,
        "width": record.picture.width,
        "height": record.picture.height,
        "model": record.model,
        "min_score": record.min_score,
        "classes": None if record.classes is None else list(record.classes),
        "created_at": record.created_at.isoformat(),
        "started_at": None if record.started_at is None else record.started_at.isoformat(),
        "ended_at": None if record.ended_at is None else record.ended_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "position": record.position,
        "stage": record.stage,
        "error": None if record.failure is None else failure_form(record.failure),
        "result": None if found is None or record.status is not JobStatus.DONE else shown(found, masks),
    }


def failure_form(failure: Failure) -> ErrorFacts:
    """Return the form of a failure."""
    return {"code": failure.code, "message": failure.message, "hint": failure.hint}


def shown(found: dict[str, Any], masks: MaskEncoding) -> Result:
    """Return what is usually shown of a result as it is kept, with the masks in the form that is asked for.

    Run lengths are kept as they are sent: nothing is decoded for them.
    """
    lowest = found["shown_score"]
    instances = [one for one in found["instances"] if one["score"] >= lowest]
    # Results that were kept by an older version don't say it.
    form: Any = {"corrected": False} | {name: value for name, value in found.items() if name != "shown_score"}
    if masks == "polygon" and form["has_masks"]:
        again = Detections.from_json({**form, "instances": instances})
        return cast(Result, again.to_json(masks="polygon"))
    if masks == "none":
        form["has_masks"] = False
        instances = [{name: value for name, value in one.items() if name != "mask"} for one in instances]
    form["instances"] = instances
    return form  # type: ignore[no-any-return]  # it is the result that the worker wrote
