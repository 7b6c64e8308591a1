"""Hugging Face's inference interface: `huggingface_hub.InferenceClient` with our URL as the model.

Source: huggingface/huggingface_hub, src/huggingface_hub/inference/_client.py and _providers/hf_inference.py;
thresholds: the pipelines of huggingface/transformers.
"""

import base64
import io
from typing import Any

import numpy as np
from flask import Response, jsonify, request
from PIL import Image

from flask_detector.detectors import AUTO
from flask_detector.errors import BadParameter, NoPicture
from flask_detector.imaging import sniff
from flask_detector.structures.detections import Detections, Instance
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting
from flask_detector.web.compat.detect import detect, offer
from flask_detector.web.core import request_bodies

_DEFAULT_THRESHOLD = 0.5


dialect = Dialect("huggingface", __name__, report=reporting("error"))


@dialect.post("/pipeline/object-detection")
@dialect.post("/pipeline/object-detection/<name>")
def object_detection(name: str = AUTO) -> Response:
    """Send boxes."""
    found = _detected(name)
    return jsonify([_box(instance, found) for instance in found])


@dialect.post("/pipeline/image-segmentation")
@dialect.post("/pipeline/image-segmentation/<name>")
def image_segmentation(name: str = AUTO) -> Response:
    """Send masks; raises ModelError for a model that has none."""
    one = offer(name)
    if not one.info.has_masks:
        raise BadParameter(f"The model {one.info.name} finds boxes only.", hint="Use a model that has masks.")
    found = _detected(name)
    return jsonify([_segment(instance, found) for instance in found])


@dialect.post("/models")
@dialect.post("/models/<name>")
def model(name: str = AUTO) -> Response:
    """Send boxes, and masks if the model has them, since this path does not name the task."""
    found = _detected(name)
    return jsonify(
        [_box(one, found) | (_segment(one, found) if one.mask is not None else {}) for one in found]
    )


def _detected(name: str) -> Detections:
    body = request_body.body()
    if not body:
        raise NoPicture("The request contains no picture.")
    picture = body
    parameters: dict[str, Any] = {}
    if sniff.format_of(body[:256]) is None and request_bodies.is_object(body):
        asked = request_body.parsed_object(body)
        if not asked.get("inputs"):
            raise NoPicture("The request contains no picture in 'inputs'.")
        picture = request_body.picture_of(asked["inputs"])
        parameters = request_body.mapping(asked.get("parameters"), "parameters")
    # The JavaScript client sends no parameters beside a file.
    asked_for = parameters.get("threshold", request.args.get("threshold"))
    threshold = request_body.number(asked_for, name="threshold", default=_DEFAULT_THRESHOLD)
    return detect(picture, model=name, min_score=threshold)


def _box(instance: Instance, found: Detections) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(side) for side in instance.box)
    box = {"xmin": x1, "ymin": y1, "xmax": min(x2, found.width), "ymax": min(y2, found.height)}
    return {"score": round(instance.score, 6), "label": instance.label, "box": box}


def _segment(instance: Instance, found: Detections) -> dict[str, Any]:
    """Return an instance with its mask as a grey PNG of the picture's size, 255 inside."""
    whole = np.zeros((found.height, found.width), np.uint8)
    mask = instance.mask
    if mask is not None:
        place = np.s_[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width]
        whole[place] = mask.bitmap() * np.uint8(255)
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "PNG", compress_level=1)
    return {
        "score": round(instance.score, 6),
        "label": instance.label,
        "mask": base64.b64encode(file.getvalue()).decode(),
    }
