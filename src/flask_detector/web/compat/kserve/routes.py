"""The Open Inference Protocol, version 2, as KServe and Triton speak it.

A picture's file is one element of datatype BYTES. Sources: kserve/open-inference-protocol,
inference_rest.md; triton-inference-server, extension_binary_data.md and tritonclient's http client.
"""

import json
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, make_response, request

from flask_detector._version import __version__
from flask_detector.detectors import AUTO
from flask_detector.errors import (
    BadParameter,
    ModelError,
)
from flask_detector.imaging import sniff
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import Dialect, reporting
from flask_detector.web.compat.detect import Offer, detect, offer, offers
from flask_detector.web.compat.kserve.tensors import INPUT, inputs, outputs_of, tensor, wanted
from flask_detector.web.core.service import service

_HEADER_LENGTH = "Inference-Header-Content-Length"
_VERSION = "1"


dialect = Dialect(
    "kserve", __name__, report=reporting("error"), prefix="/v2/", free={"server", "live", "ready"}
)


@dialect.get("/v2")
def server() -> Response:
    """Describe the server."""
    extensions = ["binary_tensor_data", "model_repository"]
    return jsonify({"name": "flask-detector", "version": __version__, "extensions": extensions})


@dialect.get("/v2/health/live")
def live() -> Response:
    """Answer that the server is there."""
    return jsonify({"live": True})


@dialect.get("/v2/health/ready")
def ready() -> Response:
    """Report whether a worker is there to detect; raises BrokerUnavailable."""
    return _readiness({})


@dialect.get("/v2/models")
def models() -> Response:
    """List the models by name, as KServe does."""
    return jsonify({"models": [one.info.name for one in offers()]})


@dialect.post("/v2/repository/index")
def index() -> Response:
    """List the models with their state, as Triton does."""
    rows = [{"name": one.info.name, "version": _VERSION, "state": "READY", "reason": ""} for one in offers()]
    return jsonify(rows)


@dialect.get("/v2/models/<name>")
@dialect.get("/v2/models/<name>/versions/<version>")
def model(name: str, version: str = _VERSION) -> Response:
    """Describe a model's inputs and outputs."""
    one = _offer(name, version)
    return jsonify(
        {
            "name": name,
            "versions": [_VERSION],
            "platform": "openvino",
            "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [1]}],
            "outputs": [
                {"name": output, "datatype": datatype, "shape": [-1, *rest]}
                for output, (datatype, rest) in outputs_of(one.info).items()
            ],
        }
    )


@dialect.get("/v2/models/<name>/ready")
@dialect.get("/v2/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str = _VERSION) -> Response:
    """Report whether a model is installed and a worker is there."""
    _offer(name, version)
    return _readiness({"name": name})


@dialect.get("/v2/models/<name>/config")
@dialect.get("/v2/models/<name>/versions/<version>/config")
def config(name: str, version: str = _VERSION) -> Response:
    """Describe a model in the words of Triton's configuration."""
    one = _offer(name, version)
    types = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32", "INT64": "TYPE_INT64"}
    return jsonify(
        {
            "name": name,
            "platform": "openvino",
            "max_batch_size": 0,
            "input": [{"name": INPUT, "data_type": "TYPE_STRING", "dims": [1]}],
            "output": [
                {"name": output, "data_type": types[datatype], "dims": [-1, *rest]}
                for output, (datatype, rest) in outputs_of(one.info).items()
            ],
        }
    )


@dialect.post("/v2/models/<name>/infer")
@dialect.post("/v2/models/<name>/versions/<version>/infer")
def infer(name: str, version: str = _VERSION) -> Response:
    """Detect in the one picture that the request carries."""
    one = _offer(name, version)
    asked, binary = _parsed(request_body.body())
    picture, min_score = inputs(asked, binary)
    asked_for = wanted(asked, one.info)
    found = detect(picture, model=name, min_score=min_score)
    answer: dict[str, Any] = {
        "model_name": found.model if name == AUTO else name,
        "model_version": _VERSION,
        "outputs": [],
    }
    if asked.get("id") is not None:
        answer["id"] = str(asked["id"])
    buffers = []
    for output, as_binary in asked_for.items():
        row, buffer = tensor(output, found, one.info, as_binary=as_binary)
        answer["outputs"].append(row)
        buffers.append(buffer)
    if not any(asked_for.values()):
        return jsonify(answer)
    header = json.dumps(answer).encode()
    response = make_response(header + b"".join(buffers))
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers[_HEADER_LENGTH] = str(len(header))
    return response


def _offer(name: str, version: str) -> Offer:
    if version != _VERSION:
        raise ModelError(f"The model {name[:80]} has no version {version[:20]}.", hint="It has version 1.")
    return offer(name)


def _readiness(facts: dict[str, Any]) -> Response:
    is_ready = bool(service().jobs.workers())
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return make_response({**facts, "ready": is_ready}, status)


def _parsed(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the request's JSON and the binary data behind it."""
    text = request.headers.get(_HEADER_LENGTH)
    if text is None and sniff.format_of(body[:256]) is not None:
        text = "0"
    if text is None:
        return request_body.parsed_object(body), b""
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not 0 <= length <= len(body):
        raise BadParameter(f"{_HEADER_LENGTH} is {text[:20]!r}; the body has {len(body)} bytes.")
    if length == 0:  # nothing but the one input's data
        data = {"name": INPUT, "shape": [1], "datatype": "BYTES", "data": [body]}
        return {"inputs": [data], "parameters": {"binary_data_output": False}}, b""
    return request_body.parsed_object(body[:length]), body[length:]
