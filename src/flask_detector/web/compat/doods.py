"""DOODS, the Dedicated Open Object Detection Service: Home Assistant's `doods` and others.

Source: snowzach/doods2, README.md, api.py, doods.py and odrpc.py.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Response, jsonify, request

from flask_detector.detectors import AUTO
from flask_detector.errors import (
    BadParameter,
    DetectorError,
    ModelError,
    NoPicture,
    UnknownModel,
)
from flask_detector.structures.detections import Detections
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting, unsupported
from flask_detector.web.compat.detect import Offer, detect, drawn, offers

_DEFAULT = "default"
_ANY_LABEL = "*"

# What `image` may ask for.
_OUTPUTS = {
    **dict.fromkeys(("true", "jpg", ".jpg", "jpeg", "image/jpeg"), "JPEG"),
    **dict.fromkeys(("png", ".png", "image/png"), "PNG"),
}


def _report(error: DetectorError, status: HTTPStatus) -> Response:
    response = reporting("error")(error, status)
    if isinstance(error, ModelError):
        response.status_code = HTTPStatus.BAD_REQUEST
    return response


dialect = Dialect("doods", __name__, report=_report, sent_key=lambda: request.headers.get("doods-auth-key"))


@dataclass(frozen=True)
class _Rule:
    """What is wanted within a region, None for the whole picture: the lowest confidence by label."""

    least: Mapping[str, float]
    id: str | None = None
    region: tuple[float, float, float, float] | None = None
    covers: bool = False

    def wants(self, label: str, confidence: float, box: tuple[float, float, float, float]) -> bool:
        """Return whether an object is wanted; box and region are top, left, bottom, right in 0..1."""
        least = self.least.get(label, self.least.get(_ANY_LABEL))
        return least is not None and confidence >= least and self._holds(box)

    def _holds(self, box: tuple[float, float, float, float]) -> bool:
        if self.region is None:
            return True
        top, left, bottom, right = self.region
        if self.covers:
            return top <= box[0] and left <= box[1] and box[2] <= bottom and box[3] <= right
        return box[0] <= bottom and box[1] <= right and box[2] >= top and box[3] >= left


@dialect.get("/detectors")
def detectors() -> Response:
    """List the default detector, and each model under its own name."""
    found = offers()
    rows = [(_DEFAULT, one) for one in found[:1]] + [(one.info.name, one) for one in found]
    return jsonify({"detectors": [_detector(name, one) for name, one in rows]})


def _detector(name: str, offer: Offer) -> dict[str, Any]:
    labels = list(offer.labels)
    return {
        "name": name,
        "type": "flask-detector",
        "model": offer.info.name,
        "labels": labels,
        "width": 0,
        "height": 0,
    }


@dialect.post("/detect")
def detect_objects() -> Response:
    """Send what is wanted of what is in a picture."""
    asked = request_body.json_object()
    picture, found, rows = _detected(asked)
    answer: dict[str, Any] = {"detections": rows}
    if asked.get("id") is not None:
        answer["id"] = str(asked["id"])
    if asked.get("image"):
        answer["image"] = base64.b64encode(drawn(picture, found, _output(asked["image"]))).decode()
    answer["duration"] = round(sum(found.timings.values()) * 1000)
    return jsonify(answer)


@dialect.post("/image")
def image() -> Response:
    """Send the picture with what is wanted drawn on it."""
    asked = request_body.json_object()
    kind = _output(asked.get("image") or "jpeg")
    picture, found, _ = _detected(asked)
    return Response(drawn(picture, found, kind), mimetype=f"image/{kind.lower()}")


@dialect.get("/stream")
def stream() -> Response:
    """Refuse to read a video."""
    raise unsupported("A stream")


def _detected(asked: dict[str, Any]) -> tuple[bytes, Detections, list[dict[str, Any]]]:
    """Return the picture, what is wanted of what is on it, and that as rows of the answer."""
    name = asked.get("detector_name") or _DEFAULT
    if asked.get("preprocess"):
        raise unsupported("Preprocessing")
    rules = _rules(asked)
    thresholds = [least for rule in rules for least in rule.least.values()]
    if not asked.get("data"):
        raise NoPicture("The request contains no picture in 'data'.")
    picture = request_body.picture_of(asked["data"])
    try:
        found = detect(
            picture,
            model=AUTO if name == _DEFAULT else str(name),
            min_score=min(thresholds, default=100) / 100,
        )
    except UnknownModel as error:
        raise UnknownModel(f"unknown detector name: {str(name)[:80]}") from error
    rows, kept = [], np.zeros(len(found), bool)
    for number, one in enumerate(found):
        x1, y1, x2, y2 = one.box
        box = (y1 / found.height, x1 / found.width, y2 / found.height, x2 / found.width)
        confidence = round(one.score * 100, 4)
        rule = next((rule for rule in rules if rule.wants(one.label, confidence, box)), None)
        if rule is None:
            continue
        kept[number] = True
        row = dict(zip(("top", "left", "bottom", "right"), (round(side, 6) for side in box), strict=True))
        rows.append(row | {"label": one.label, "confidence": confidence})
        if rule.id is not None:
            rows[-1]["region_id"] = rule.id
    return picture, found.where(kept), rows


def _rules(asked: dict[str, Any]) -> list[_Rule]:
    """Return the rules in the order in which they count: the whole picture's first."""
    rules = [_Rule(_thresholds(asked.get("detect")))]
    for region in request_body.mappings(asked.get("regions") or [], "regions"):
        top, left = (request_body.number(region.get(side), name=side, default=0) for side in ("top", "left"))
        bottom, right = (
            request_body.number(region.get(side), name=side, default=1) for side in ("bottom", "right")
        )
        rules.append(
            _Rule(
                _thresholds(region.get("detect")),
                None if region.get("id") is None else str(region["id"]),
                (top, left, bottom, right),
                bool(region.get("covers", False)),
            )
        )
    return rules


def _thresholds(detect: object) -> dict[str, float]:
    return {
        label: request_body.number(least, name=f"detect {label[:40]}", default=0)
        for label, least in request_body.mapping(detect, "detect").items()
    }


def _output(asked: object) -> str:
    kind = _OUTPUTS.get(str(asked).lower())
    if kind is None:
        raise BadParameter(f"image is {str(asked)[:20]!r}.", hint="It must be jpeg or png.")
    return kind
