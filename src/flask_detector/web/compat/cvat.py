"""CVAT's automatic annotation: this server in the place of Nuclio, or one function of it.

CVAT asks a Nuclio dashboard for its functions and has it invoke them. Both are answered here, so that CVAT
needs no more than this server's URL. Sources: cvat-ai/cvat, cvat/apps/lambda_manager/views.py (gateway
and functions), serverless/openvino/omz/public (detectors; `to_cvat_mask` in serverless/openvino/base).
"""

import json
from typing import Any

import numpy as np
from flask import Response, jsonify, request

from flask_detector.detectors import AUTO
from flask_detector.errors import NoPicture
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import as_one_ring, parts_of
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting
from flask_detector.web.compat.detect import Offer, detect, offer, offers
from flask_detector.web.core.service import service

_DEFAULT_THRESHOLD = 0.5


dialect = Dialect("cvat", __name__, report=reporting("error"))


@dialect.get("/api/functions")
def functions() -> Response:
    """List the models as Nuclio lists its functions."""
    return jsonify({one.info.name: _function(one) for one in offers()})


@dialect.get("/api/functions/<name>")
def function(name: str) -> Response:
    """Describe a model as Nuclio describes a function."""
    return jsonify(_function(offer(name)))


@dialect.post("/api/function_invocations")
def invocation() -> Response:
    """Detect with the model that Nuclio's header names."""
    return _detect(request.headers.get("x-nuclio-function-name", AUTO))


@dialect.post("/")
@dialect.post("/cvat")
@dialect.post("/cvat/<name>")
def call(name: str = AUTO) -> Response:
    """Detect as the one function behind a URL, which is how CVAT invokes functions directly."""
    return _detect(name)


def _detect(name: str) -> Response:
    asked = request_body.json_object()
    if not asked.get("image"):
        raise NoPicture("The request contains no picture in 'image'.")
    threshold = request_body.number(asked.get("threshold"), name="threshold", default=_DEFAULT_THRESHOLD)
    found = detect(request_body.picture_of(asked["image"]), model=name, min_score=threshold)
    return jsonify([_shape(instance, found) for instance in found])


def _shape(instance: Instance, found: Detections) -> dict[str, Any]:
    """Return an instance in CVAT's form: a mask's values row by row, then its box, whose sides are inside."""
    shape: dict[str, Any] = {
        "confidence": str(round(instance.score, 6)),
        "label": instance.label,
        "attributes": [],
    }
    mask = instance.mask
    if mask is None or mask.area == 0:
        return {**shape, "type": "rectangle", "points": [round(side, 2) for side in instance.box]}
    corners = [mask.x, mask.y, mask.x + mask.width - 1, mask.y + mask.height - 1]
    values = mask.bitmap().astype(np.uint8).reshape(-1).tolist()
    return {
        **shape,
        "type": "mask",
        "points": as_one_ring(parts_of(mask)).reshape(-1).tolist(),
        "mask": values + corners,
    }


def _function(one: Offer) -> dict[str, Any]:
    kind = "mask" if one.info.has_masks else "rectangle"
    labels = [{"id": i, "name": label, "type": kind, "attributes": []} for i, label in enumerate(one.labels)]
    return {
        "metadata": {
            "name": one.info.name,
            "namespace": request.headers.get("x-nuclio-function-namespace", "nuclio"),
            "labels": {"nuclio.io/project-name": "cvat"},
            "annotations": {
                "name": one.info.title,
                "type": "detector",
                "framework": "openvino",
                "spec": json.dumps(labels),
            },
        },
        "spec": {"description": one.info.what, "handler": "main:handler", "runtime": "python:3.11"},
        "status": {"state": "ready", "httpPort": service().settings.port},
    }
