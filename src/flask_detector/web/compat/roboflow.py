"""Roboflow's inference server: `inference-sdk`, its older hosted interface, and what is built on them.

Source: roboflow/inference, inference/core/interfaces/http/http_api.py, entities of requests and responses,
and inference_sdk/http.
"""

import base64
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Response, jsonify, request
from werkzeug.routing import BaseConverter

from flask_detector._version import __version__
from flask_detector.detectors import AUTO
from flask_detector.errors import BadParameter, NoPicture, PictureError
from flask_detector.imaging import sniff
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import as_one_ring, parts_of
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting, unsupported
from flask_detector.web.compat.detect import Offer, detect_each, drawn, offer, offers

_DEFAULT_CONFIDENCE = 0.4
_MOST_DETECTIONS = 300

# The project of Roboflow's public models that know COCO's classes.
_COCO = "coco"


def _sent_key() -> str | None:
    key = request.args.get("api_key")
    if key is None and request.method == "POST" and request.endpoint != "roboflow.legacy":
        key = request_body.json_object().get("api_key")
    return key if isinstance(key, str) else None


# The client lists and clears models without its key.
_FREE = {"info", "registry", "remove", "clear"}

dialect = Dialect("roboflow", __name__, report=reporting("message"), sent_key=_sent_key, free=_FREE)


class _Project(BaseConverter):
    """The first part of a path of the hosted interface: any that is not ours."""

    regex = r"(?!(?:api|batches|detections|history|shared|static|v1|v2)(?:/|$))[^/]+"


dialect.record_once(lambda state: state.app.url_map.converters.update(project=_Project))


@dialect.get("/info")
def info() -> Response:
    """Describe the server."""
    return jsonify({"name": "flask-detector", "version": __version__, "uuid": str(uuid.UUID(int=0))})


@dialect.get("/model/registry")
def registry() -> Response:
    """List the models."""
    return _registry()


@dialect.post("/model/add")
def add() -> Response:
    """List the models, among them the one asked for under the name by which it was asked for."""
    name = str(request_body.json_object().get("model_id", ""))
    return _registry((name, offer(_own_name(name))))


@dialect.post("/model/remove")
@dialect.post("/model/clear", endpoint="clear")
def remove() -> Response:
    """List the models; clients can't remove any."""
    return _registry()


@dialect.post("/infer/object_detection")
def detect_objects() -> Response:
    """Send boxes."""
    return _infer(with_outlines=False)


@dialect.post("/infer/instance_segmentation")
def segment_instances() -> Response:
    """Send boxes and outlines; those of a model without masks are the boxes' own corners."""
    return _infer(with_outlines=True)


@dialect.post("/<project:workspace>/workflows/<path:rest>")
@dialect.post("/infer/workflows/<path:rest>")
@dialect.route("/workflows/<path:rest>", methods=["GET", "POST"])
def workflows(rest: str, workspace: str = "") -> Response:
    """Refuse workflows."""
    return reporting("message")(unsupported("A workflow"), HTTPStatus.NOT_IMPLEMENTED)


@dialect.post("/infer/<task>")
def other_task(task: str) -> Response:
    """Refuse what is not detected here."""
    raise unsupported(task[:40])


@dialect.post("/<project:project>/<version>")
def legacy(project: str, version: str) -> Response:
    """Answer the hosted interface: a picture in base64 as the body, or as a file, all else in the URL."""
    options = request.args
    name = _own_name(f"{project}/{version}")
    has_masks = offer(name).info.has_masks
    picture = request_body.picture_at(options["image"]) if "image" in options else _sent_picture()
    confidence, most = _percent(options.get("confidence")), options.get("max_detections")
    (found,) = _detected([picture], name, confidence, options.getlist("class_filter"), most)
    if options.get("format") == "image":
        return Response(drawn(picture, found), mimetype="image/jpeg")
    as_rle = options.get("response_mask_format") == "rle"
    answer = _answer(found, with_outlines=has_masks, as_rle=as_rle)
    if options.get("format") == "image_and_json":
        answer["visualization"] = base64.b64encode(drawn(picture, found)).decode()
    return jsonify(answer)


def _sent_picture() -> bytes:
    """Return the picture that is the body, as it is or in base64, or a form's file.

    Clients send base64 as JSON or as a form, by its Content-Type, but it is neither.
    """
    if request.mimetype == "multipart/form-data":
        file = request_body.form("file").picture
        picture = b"" if file is None else file.read()
    else:
        picture = request_body.body()
    if not picture:
        raise NoPicture("The request contains no picture.")
    is_file = request.mimetype == "multipart/form-data" or sniff.format_of(picture[:256]) is not None
    return picture if is_file else request_body.picture_of(picture.decode("latin-1"))


def _infer(*, with_outlines: bool) -> Response:
    asked = request_body.json_object()
    name = _own_name(str(asked.get("model_id") or AUTO))
    asked_for = asked.get("image")
    if asked_for is None or asked_for == []:
        raise NoPicture("The request contains no picture in 'image'.")
    wanted = asked_for if isinstance(asked_for, list) else [asked_for]
    request_body.check_number(len(wanted))
    pictures = [_picture(one) for one in wanted]
    found = _detected(
        pictures,
        name,
        _confidence(asked.get("confidence")),
        asked.get("class_filter"),
        asked.get("max_detections"),
    )
    as_rle = asked.get("response_mask_format") == "rle"
    answers = [_answer(each, with_outlines=with_outlines, as_rle=as_rle) for each in found]
    if asked.get("visualize_predictions") is True:
        for answer, picture, each in zip(answers, pictures, found, strict=True):
            answer["visualization"] = base64.b64encode(drawn(picture, each)).decode()
    return jsonify(answers if isinstance(asked_for, list) else answers[0])


def _own_name(model_id: str) -> str:
    """Return our name of the model that a client calls `project/version`, or by our name."""
    project, _, _ = model_id.partition("/")
    return AUTO if project == _COCO else project


def _registry(*more: tuple[str, Offer]) -> Response:
    rows = [(one.info.name, one) for one in offers()]
    return jsonify({"models": [_described(name, one) for name, one in dict([*rows, *more]).items()]})


def _described(name: str, one: Offer) -> dict[str, Any]:
    task = "instance-segmentation" if one.info.has_masks else "object-detection"
    return {"model_id": name, "task_type": task}


def _picture(image: object) -> bytes:
    if isinstance(image, str):
        return request_body.picture_of(image)
    if not isinstance(image, dict):
        raise BadParameter("image is not an object.", hint='Send {"type": "base64", "value": …}.')
    kind, value = image.get("type"), image.get("value")
    if kind == "url":
        return request_body.picture_at(str(value))
    if kind != "base64":  # `numpy` is a pickle, which would run whatever it holds
        raise BadParameter(f"The image's type is {str(kind)[:20]!r}.", hint="It must be base64 or url.")
    return request_body.picture_of(value)


def _confidence(value: object) -> float:
    if isinstance(value, str) and value in {"best", "default"}:
        return _DEFAULT_CONFIDENCE
    return request_body.number(value, name="confidence", default=_DEFAULT_CONFIDENCE)


def _percent(value: str | None) -> float:
    """Return the confidence of the older interface, where 40 is 0.4."""
    confidence = _confidence(value)
    return confidence / 100 if confidence >= 1 else confidence


def _detected(
    pictures: list[bytes], name: str, confidence: float, labels: object, most: object
) -> list[Detections]:
    limit = int(request_body.number(most, name="max_detections", default=_MOST_DETECTIONS))
    if labels is not None and not isinstance(labels, list):
        raise BadParameter("class_filter is not a list.")
    outcomes = []
    for found in detect_each(pictures, model=name, min_score=confidence):
        if isinstance(found, PictureError):
            raise found
        kept = found.where(np.isin(found.class_ids, _ids(found, labels))) if labels else found
        outcomes.append(kept.where(np.arange(len(kept)) < limit))
    return outcomes


def _ids(found: Detections, labels: Iterable[object]) -> list[int]:
    wanted = {str(label) for label in labels}
    return [number for number, label in enumerate(found.labels) if label in wanted]


def _answer(found: Detections, *, with_outlines: bool, as_rle: bool) -> dict[str, Any]:
    predictions = [
        _prediction(one) | (_outline(one, found, as_rle=as_rle) if with_outlines else {}) for one in found
    ]
    return {
        "inference_id": str(uuid.uuid4()),
        "time": round(sum(found.timings.values()), 6),
        "image": {"width": found.width, "height": found.height},
        "predictions": predictions,
    }


def _prediction(instance: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = instance.box
    return {
        "x": round((x1 + x2) / 2, 3),
        "y": round((y1 + y2) / 2, 3),
        "width": round(x2 - x1, 3),
        "height": round(y2 - y1, 3),
        "confidence": round(instance.score, 6),
        "class": instance.label,
        "class_id": instance.class_id,
        "detection_id": str(uuid.uuid4()),
    }


def _outline(instance: Instance, found: Detections, *, as_rle: bool) -> dict[str, Any]:
    """Return a mask as run lengths, or as one polygon with cuts of no width to its parts and holes.

    An empty mask's polygon has no points.
    """
    x1, y1, x2, y2 = instance.box
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    if instance.mask is not None:
        if as_rle:
            rle = instance.mask.to_rle(width=found.width, height=found.height)
            return {"rle": rle, "mask_format": "rle"}
        ring = as_one_ring(parts_of(instance.mask)).tolist()
        corners = [(float(x), float(y)) for x, y in ring]
    points = [{"x": round(x, 3), "y": round(y, 3)} for x, y in corners]
    return {"points": points, "mask_format": "polygon"}
