"""Label Studio's machine-learning backend: predictions for tasks.

Source: HumanSignal/label-studio-ml-backend, label_studio_ml/api.py; HumanSignal/label-studio,
label_studio/ml/api_connector.py; the codec of brushes: thi.ng/umbrella, packages/rle-pack.
"""

import uuid
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request

from flask_detector.errors import AddressUnreachable, BadParameter, DetectorError, NoPicture, PictureError
from flask_detector.formats import label_studio
from flask_detector.formats.brush_rle import packed
from flask_detector.structures.detections import Detections, Instance
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting
from flask_detector.web.compat.detect import Offer, detect_each, offers
from flask_detector.web.compat.label_studio.label_config import Control, controls_of, has_controls
from flask_detector.web.compat.label_studio.task_images import picture_of_task
from flask_detector.web.core.service import service


def _sent_key() -> str | None:
    """Return the password of Label Studio's basic authentication, which can send nothing else."""
    sent_by = request.authorization
    return sent_by.password if sent_by is not None and sent_by.type == "basic" else None


def _report(error: DetectorError, status: HTTPStatus) -> Response:
    """Report an error in the status line, too: Label Studio shows nothing else of a response."""
    response = reporting("error")(error, status)
    words = "".join(c if c.isprintable() else " " for c in str(error)).encode("ascii", "replace").decode()
    response.status = f"{response.status_code} {words[:_LONGEST_REASON]}"
    return response


_LONGEST_REASON = 400

dialect = Dialect("label-studio", __name__, report=_report, sent_key=_sent_key, free={"health"})

# What is a single task's trouble, not the whole request's.
TaskError = PictureError | AddressUnreachable

_TRAINING = {
    "ANNOTATION_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATION_DELETED",
    "START_TRAINING",
    "PROJECT_UPDATED",
}


@dialect.get("/health")
def health() -> Response:
    """Answer that the server is there."""
    return jsonify({"status": "UP", "model_class": "FlaskDetector"})


@dialect.post("/setup")
def setup() -> Response:
    """Return the model that a project will get; refuse a configuration that it can't serve."""
    asked = request_body.json_object()
    if asked.get("schema") and has_controls(asked["schema"]):
        _check_served(_controls_of(asked["schema"]))
    return jsonify({"model_version": service().available.default()})


@dialect.get("/versions")
def versions() -> Response:
    """List the models."""
    return jsonify({"versions": service().models.installed()})


@dialect.post("/webhook")
def webhook() -> tuple[Response, int]:
    """Take note of an annotation: nothing is learnt from it."""
    if str(request_body.json_object().get("action")) not in _TRAINING:
        return jsonify({"status": "Unknown event"}), 200
    return jsonify({"status": "ok", "result": None}), 201


@dialect.post("/predict")
def predict() -> Response:
    """Send what is found in the picture of each task, as far as the project has labels for it.

    Where there are several tasks, one whose picture can't be used has no regions, and says why.
    """
    asked = request_body.json_object()
    tasks = request_body.mappings(asked.get("tasks"), "tasks")
    request_body.check_number(len(tasks))
    controls = _controls_of(asked.get("label_config"))
    pictures = [_picture(task, controls) for task in tasks]
    usable = [picture for picture in pictures if isinstance(picture, bytes)]
    scores = [one.min_score for one in controls]
    lowest = min((score for score in scores if score is not None), default=None)
    found = iter(detect_each(usable, min_score=None if None in scores else lowest))
    outcomes = [next(found) if isinstance(picture, bytes) else picture for picture in pictures]
    if len(outcomes) == 1 and isinstance(outcomes[0], TaskError):
        raise outcomes[0]
    return jsonify({"results": [_prediction(outcome, controls) for outcome in outcomes]})


def _controls_of(text: object) -> list[Control]:
    """Return the tags of a project that objects can be put into; raises BadParameter where there are none."""
    controls = controls_of(text)
    if not controls:
        raise BadParameter(
            "The project has nothing to put objects into.",
            hint="Its configuration needs RectangleLabels, PolygonLabels or BrushLabels for an Image.",
        )
    return controls


def _check_served(controls: list[Control]) -> None:
    """Raise BadParameter where the model that is used finds nothing that the project could show."""
    used, *others = offers()
    if _serves(used, controls):
        return
    fitting = [one.info.name for one in others if _serves(one, controls)]
    wanted = ", ".join(sorted({label for one in controls for label in one.labels.values()}))[:200]
    if not any(used_label.lower() in one.labels for one in controls for used_label in used.labels):
        reason = f"The model {used.info.name} knows none of the project's labels ({wanted})."
        hint = "Map them to its classes with 'predicted_values'."
    else:
        reason = f"The model {used.info.name} has no masks, which brushes need."
        hint = "Install one that has, or use RectangleLabels."
    if fitting:
        hint = f"DETECTOR_MODEL={fitting[0]} chooses one that does."
    raise BadParameter(reason, hint=hint)


def _serves(one: Offer, controls: list[Control]) -> bool:
    shapes = {"brush", "polygon", "rectangle"} if one.info.has_masks else {"polygon", "rectangle"}
    names = {label.lower() for label in one.labels}
    return any(control.shape in shapes and names & control.labels.keys() for control in controls)


def _picture(task: dict[str, Any], controls: list[Control]) -> bytes | TaskError:
    data = task.get("data")
    if not isinstance(data, dict):
        raise BadParameter("A task has no data.")
    try:
        value = next((data[one.source] for one in controls if data.get(one.source)), None)
        if not isinstance(value, str):
            raise NoPicture(f"The task has no picture in '{controls[0].source}'.")
        return picture_of_task(value, task.get("id"))
    except (PictureError, AddressUnreachable) as error:
        return error


def _prediction(outcome: Detections | TaskError, controls: list[Control]) -> dict[str, Any]:
    if isinstance(outcome, TaskError):
        return {
            "result": [],
            "score": 0.0,
            "model_version": service().available.default(),
            "error": str(outcome),
        }
    regions: list[dict[str, Any]] = []
    scores = []
    for instance in outcome:
        control = _control_for(instance, controls)
        if control is not None:
            regions += _regions(instance, control, outcome)
            scores.append(instance.score)
    mean = sum(scores) / len(scores) if scores else 0.0
    return {"result": regions, "score": round(mean, 6), "model_version": outcome.model}


def _control_for(instance: Instance, controls: list[Control]) -> Control | None:
    """Return the first tag that has the object's label and can show it.

    Boxes rather go into rectangles, and those whose masks are empty into nothing else.
    """
    label = instance.label.lower()
    fitting = [
        one
        for one in controls
        if label in one.labels and (one.min_score is None or instance.score >= one.min_score)
    ]
    if instance.mask is None:
        order = ["rectangle", "polygon"]
    else:
        order = ["brush", "polygon", "rectangle"] if instance.mask.area else ["rectangle"]
    return next((one for shape in order for one in fitting if one.shape == shape), None)


def _regions(instance: Instance, control: Control, found: Detections) -> list[dict[str, Any]]:
    label = control.labels[instance.label.lower()]
    about = label_studio.region(found, instance, to_name=control.to_name)
    regions = []
    for shape in _shapes(instance, control.shape, found):
        region = {"id": uuid.uuid4().hex[:10], **about}
        if control.is_split:
            regions.append({**region, "from_name": control.name, "type": control.shape, "value": shape})
            kind = "labels"
        else:
            kind = f"{control.shape}labels"
        named = {"from_name": control.labels_name, "type": kind, "value": {**shape, kind: [label]}}
        regions.append({**region, **named})
    return regions


def _shapes(instance: Instance, shape: str, found: Detections) -> list[dict[str, Any]]:
    """Return an object's values of that shape: each part of a mask is a polygon."""
    if shape == "brush" and instance.mask is not None:
        return [{"format": "rle", "rle": packed(instance.mask, width=found.width, height=found.height)}]
    if shape == "rectangle":
        return [label_studio.rectangle(found, instance)]
    return label_studio.polygons(found, instance)
