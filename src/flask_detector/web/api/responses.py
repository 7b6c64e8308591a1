"""The API's JSON responses, besides those that webhooks share (jobs/schema.py)."""

from typing import Annotated, Any, Literal, NotRequired

from flask import url_for
from pydantic import Field
from typing_extensions import TypedDict

from flask_detector.jobs.batches import Batch
from flask_detector.jobs.records import Record
from flask_detector.jobs.schema import Detection, ErrorFacts, Rle, detection_form, failure_form
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import MaskEncoding
from flask_detector.web.core.service import service

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class Links(TypedDict):
    """Paths of the rest on this server."""

    self: str
    events: str
    image: str
    drawn: NotRequired[Annotated[str, Field(description="Once it is done.")]]
    annotations: NotRequired[Annotated[str, Field(description="Once it is done.")]]
    page: NotRequired[Annotated[str, Field(description="For people; of detections without a key.")]]


class DetectionResponse(Detection):
    """A detection as it stands, and where its files are."""

    estimated_seconds: Annotated[
        float | None,
        Field(description="Until it is likely to have ended; null once it has, and where that is not known."),
    ]
    links: Links


class AnnotatedObject(TypedDict):
    """An object as the model said or a person drew it."""

    id: Annotated[
        str,
        Field(description="Unique in the picture; m0, m1, … are the model's.", min_length=1, max_length=40),
    ]
    label: Annotated[str, Field(min_length=1, max_length=100)]
    source: NotRequired[
        Annotated[
            Literal["model", "person"],
            Field(description="`model` if it is as the model said, its mask may be left out then."),
        ]
    ]
    score: NotRequired[
        Annotated[float | None, Field(ge=0, le=1, description="The model's; null of a person's own object.")]
    ]
    verified: NotRequired[Annotated[bool, Field(description="Whether a person agrees with it.")]]
    box: NotRequired[
        Annotated[
            list[float],
            Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels; the mask's by default."),
        ]
    ]
    mask: NotRequired[Rle]
    polygons: NotRequired[
        Annotated[
            list[list[list[list[float]]]],
            Field(description="In place of a mask: for each part its outline, then its holes."),
        ]
    ]


class AnnotationDocument(TypedDict):
    """The objects of a picture as a person has corrected them (docs/results.md)."""

    version: Literal[1]
    width: Annotated[int, Field(description="Of the picture as a viewer shows it, in pixels.")]
    height: int
    verified: NotRequired[Annotated[bool, Field(description="Whether a person agrees with all of it.")]]
    labels: NotRequired[Annotated[list[str], Field(description="All classes, the model's first.")]]
    objects: NotRequired[Annotated[list[AnnotatedObject], Field(max_length=5000)]]


class BoxAndLabel(TypedDict):
    """A box that is to become a mask."""

    box: Annotated[
        list[float],
        Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels, within the picture."),
    ]
    label: Annotated[
        str,
        Field(
            description="The object's; one that the model does not know is left to the model.", max_length=100
        ),
    ]


class BoxMask(TypedDict):
    """The mask that a model makes of a box, in two forms."""

    mask: Annotated[Rle | None, Field(description="Null where the model sees nothing in the box.")]
    polygons: Annotated[
        list[list[list[list[float]]]],
        Field(description="For each part its outline, then its holes, along the edges of pixels."),
    ]


class DetectionSummary(TypedDict):
    """A detection in a list."""

    id: str
    status: Status
    filename: str
    model: str
    created_at: str
    expires_at: str
    position: int | None
    counts: Annotated[dict[str, int] | None, Field(description="How many of each label were found.")]
    corrected: Annotated[bool, Field(description="Whether a person has corrected the result.")]
    error: ErrorFacts | None
    url: str


class DetectionPage(TypedDict):
    """A part of a list, newest first."""

    detections: list[DetectionSummary]
    next_cursor: Annotated[str | None, Field(description="Ask for what follows with it; null at the end.")]


class RefusedPicture(TypedDict):
    """A picture of a batch that was not accepted."""

    filename: str
    error: ErrorFacts


class BatchResponse(TypedDict):
    """Pictures that were sent together, in their order."""

    id: str
    status: Annotated[
        Literal["queued", "running", "done"],
        Field(description="`done` when all have ended, well or not; `queued` when none has begun."),
    ]
    counts: Annotated[dict[str, int], Field(description="How many detections have each status.")]
    detections: list[DetectionSummary]
    refused: list[RefusedPicture]
    url: str


class Model(TypedDict):
    """A model, and how far it is on its way to being used."""

    name: str
    title: str
    has_masks: bool
    box_ap: Annotated[float | None, Field(description="On COCO val2017, percent, as published.")]
    mask_ap: float | None
    licence: str
    bytes: Annotated[int, Field(description="Of its file.")]
    state: Literal["embedded", "absent", "downloading", "converting", "installed", "failed"]
    fraction: Annotated[float | None, Field(description="How much of that is done, 0 to 1.")]
    seconds: Annotated[
        float | None, Field(description="What a picture takes here, as measured; null if it was not.")
    ]
    default: Annotated[bool, Field(description="Whether it is what `auto` stands for.")]


class ModelProgress(TypedDict):
    """How far a model is on its way to being used, and why it may have failed."""

    name: str
    state: Literal["embedded", "absent", "downloading", "converting", "installed", "failed"]
    fraction: Annotated[float | None, Field(description="How much of that is done, 0 to 1.")]
    note: Annotated[str, Field(description="What it was recognised as, why it failed, or why it waits.")]


class ModelList(TypedDict):
    """All models that are known here."""

    models: list[Model]


class LabelList(TypedDict):
    """What a model can find, by class id."""

    model: str
    labels: list[str]


def detection_response(
    record: Record, found: dict[str, Any] | None, masks: MaskEncoding | None = None
) -> DetectionResponse:
    """Return the form of a detection, with its result, as it is kept, once it is done."""
    links: Links = {
        "self": url_for("api.show", id=record.id),
        "events": url_for("api.events", id=record.id),
        "image": url_for("api.image", id=record.id),
    }
    if found is not None:
        links["drawn"] = url_for("api.drawn", id=record.id, suffix="jpg")
        links["annotations"] = url_for("api.show_annotations", id=record.id)
    if record.owner is None:
        links["page"] = url_for("detection.show", key=record.id)
    return {
        **detection_form(record, found, masks or record.masks),
        "estimated_seconds": None if record.status.is_final else service().forecast.seconds(record),
        "links": links,
    }


def summary_of(record: Record) -> DetectionSummary:
    """Return the form of a detection in a list."""
    return {
        "id": record.id,
        "status": record.status.value,
        "filename": record.filename,
        "model": record.model,
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "position": record.position,
        "counts": record.counts,
        "corrected": record.correction is not None,
        "error": None if record.failure is None else failure_form(record.failure),
        "url": url_for("api.show", id=record.id),
    }


def batch_response(batch: Batch, records: list[Record]) -> BatchResponse:
    """Return the form of a batch with those of its detections that there still are."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.status.value] = counts.get(record.status.value, 0) + 1
    return {
        "id": batch.id,
        "status": _status_of(records),
        "counts": counts,
        "detections": [summary_of(record) for record in records],
        "refused": [{"filename": one.filename, "error": failure_form(one.failure)} for one in batch.refused],
        "url": url_for("api.show_batch", id=batch.id),
    }


def _status_of(records: list[Record]) -> Literal["queued", "running", "done"]:
    if all(record.status.is_final for record in records):
        return "done"
    return "queued" if all(record.status is JobStatus.QUEUED for record in records) else "running"


def model_list() -> ModelList:
    """Return the form of all models."""
    default, seconds = service().available.default(), service().seconds_by_model()
    forms: list[Any] = [
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
            "seconds": seconds.get(info.name),
            "default": info.name == default,
        }
        for info, state in service().available.by_state()
    ]
    return {"models": forms}
