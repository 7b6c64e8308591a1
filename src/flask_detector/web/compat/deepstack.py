"""DeepStack and CodeProject.AI: Blue Iris, Frigate, Home Assistant, Node-RED and others.

Sources: johnolafenwa/DeepStack, server/server.go and middlewares.go; codeproject/CodeProject.AI-Server,
ProxyController.cs, ServerStatusController.cs and the object detection modules.
"""

import platform
import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from flask import Response, make_response

from flask_detector._version import __version__
from flask_detector.detectors import AUTO
from flask_detector.errors import (
    AccessError,
    BadParameter,
    DetectionNotFinished,
    DetectorError,
    ModelError,
    NoPicture,
    PictureError,
    PictureTooLarge,
    RequestError,
    TooManyPixels,
)
from flask_detector.structures.detections import Detections, Instance
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect
from flask_detector.web.compat.detect import detect, offers
from flask_detector.web.core.service import service

_DEFAULT_CONFIDENCE = 0.40

# CodeProject.AI's name for its model of no particular purpose, and for those that come with it.
_GENERAL = "general"
_CUSTOM = ("ipcam-general", "ipcam-combined", "ipcam-animal", "ipcam-dark", "license-plate")

_ANY = ("GET", "POST")


def _report(error: DetectorError, status: HTTPStatus) -> Response:
    text = error.message
    if isinstance(error, AccessError):
        text = "Incorrect api key"
    elif isinstance(error, NoPicture):
        text = "No valid image file found"
    elif isinstance(error, DetectionNotFinished):
        text, status = "failed to process request before timeout", HTTPStatus.INTERNAL_SERVER_ERROR
    elif isinstance(error, ModelError):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, PictureError) and not isinstance(error, PictureTooLarge | TooManyPixels):
        text, status = "invalid image file", HTTPStatus.BAD_REQUEST
    body = {"success": False, "error": text, "duration": 0, "message": str(error), "code": status}
    return _answer(body, status)


def _answer(body: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    return make_response({**body, "moduleName": "flask-detector", "timestampUTC": now}, status)


dialect = Dialect(
    "deepstack",
    __name__,
    report=_report,
    prefix="/v1/",
    sent_key=lambda: request_body.form("image").fields.get("api_key"),
    free={"ping", "update"},
)


@dialect.post("/v1/vision/detection")
def detection() -> Response:
    """Detect with the default model."""
    return _detect(AUTO, "detect")


@dialect.post("/v1/vision/custom")
@dialect.post("/v1/vision/custom/<name>")
def custom(name: str = _GENERAL) -> Response:
    """Detect with the model of that name."""
    return _detect(AUTO if name == _GENERAL else name, "custom")


@dialect.route("/v1/vision/custom/list", methods=_ANY)
def models() -> Response:
    """List the models that can be asked for by name."""
    names = [offer.info.name for offer in offers()]
    names += [name for name in _CUSTOM if service().settings.model_for(name) != name]
    return _answer({"success": True, "models": names, "duration": 0, "command": "list-custom", "code": 200})


@dialect.route("/v1/status/<any(ping, version):fact>", methods=_ANY)
@dialect.route("/v1/server/status/<any(ping, version):fact>", methods=_ANY)
def ping(fact: str) -> Response:
    """Answer that the server is there."""
    facts = {"message": __version__, "version": _version(), "hostname": platform.node()}
    return _answer({"success": True, **facts, "code": 200})


@dialect.route("/v1/status/updateavailable", methods=_ANY)
@dialect.route("/v1/server/status/updateavailable", methods=_ANY)
def update() -> Response:
    """Answer Blue Iris that there is no newer version."""
    body = {"success": True, "message": "", "updateAvailable": False}
    return _answer({**body, "current": _version(), "latest": _version(), "version": _version(), "code": 200})


@dialect.post("/v1/vision/<any(face, scene, enhance):part>")
@dialect.post("/v1/vision/<any(face, scene, enhance):part>/<path:rest>")
def inactive(part: str, rest: str = "") -> Response:
    """Refuse faces, scenes and enhancing, as a DeepStack does that runs without them."""
    return _report(RequestError(f"{part.capitalize()} endpoints not activated"), HTTPStatus.FORBIDDEN)


def _detect(model: str, command: str) -> Response:
    start = time.perf_counter()
    form = request_body.form("image")
    found = detect(form.picture, model=model, min_score=_confidence(form.fields.get("min_confidence")))
    labels = [instance.label for instance in found]
    return _answer(
        {
            "success": True,
            "predictions": [_prediction(instance, found) for instance in found],
            "duration": 0,
            "message": f"Found {', '.join(labels[:3])}{'...' * (len(labels) > 3)}"
            if labels
            else "No objects found",
            "count": len(found),
            "command": command,
            "code": 200,
            "processMs": round((time.perf_counter() - start) * 1000),
            "inferenceMs": round(sum(found.timings.values()) * 1000),
            "inferenceDevice": "CPU",
        }
    )


def _confidence(text: str | None) -> float:
    try:
        least = request_body.number(text, name="min_confidence", default=_DEFAULT_CONFIDENCE)
    except BadParameter as error:
        raise BadParameter("Invalid value for min_confidence") from error
    if least > 1:
        raise BadParameter("min_confidence cannot be greater than 1")
    return least


def _prediction(instance: Instance, found: Detections) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(side) for side in instance.box)
    return {
        "confidence": round(instance.score, 6),
        "label": instance.label,
        "x_min": x1,
        "y_min": y1,
        "x_max": min(x2, found.width),
        "y_max": min(y2, found.height),
    }


def _version() -> dict[str, Any]:
    major, minor, patch = re.findall(r"\d+", __version__)[:3]
    return {"major": int(major), "minor": int(minor), "patch": int(patch)}
