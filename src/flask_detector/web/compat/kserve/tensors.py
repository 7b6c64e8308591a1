"""Tensors of the Open Inference Protocol: inputs to a picture and a score, results to outputs.

Binary data lies behind the JSON, in the order of the tensors that say so; in it, each element of BYTES has
its length before it, in four bytes. Source: triton-inference-server, extension_binary_data.md.
"""

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

from flask_detector.detectors import ModelInfo
from flask_detector.errors import BadParameter, NoPicture
from flask_detector.imaging import encode, sniff
from flask_detector.structures.detections import Detections
from flask_detector.web.compat import request_body
from flask_detector.web.compat.blueprint import unsupported

INPUT = "image"

# Inputs of which the request need not have one, or parameters: the lowest score.
_SCORE_NAMES = ("min_score", "threshold", "confidence")

# Longer shapes and sides are of no picture.
_MOST_SIDES = 8
_MOST_ELEMENTS = 1 << 31

_DTYPES = {"FP32": np.float32, "INT64": np.int64}


def inputs(asked: dict[str, Any], binary: bytes) -> tuple[bytes, float | None]:
    """Return the picture and the lowest score that a request carries."""
    inputs = request_body.mappings(asked.get("inputs"), "inputs")
    scores = request_body.mapping(asked.get("parameters"), "parameters")
    score: object = next((scores[name] for name in _SCORE_NAMES if name in scores), None)
    pictures = []
    for one in inputs:
        size = request_body.mapping(one.get("parameters"), "parameters").get("binary_data_size")
        data: Any = one.get("data")
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(binary):
                raise BadParameter(f"binary_data_size of {str(one.get('name'))[:40]} is more than there is.")
            data, binary = binary[:size], binary[size:]
        if one.get("name") in _SCORE_NAMES:
            score = _first_number(data)
        elif data is not None:
            pictures.append(_picture(one, data))
    if binary:
        raise BadParameter("There is more binary data than the inputs name.")
    if not pictures:
        raise NoPicture("No input carries a picture.", hint="Send one element of datatype BYTES.")
    if len(pictures) > 1:
        raise unsupported("More than one picture in a request")
    return pictures[0], None if score is None else request_body.number(score, name="min_score", default=0)


def _picture(tensor: dict[str, Any], data: Any) -> bytes:
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    is_shape = isinstance(shape, list) and all(isinstance(n, int) and 0 <= n < _MOST_ELEMENTS for n in shape)
    if not is_shape or not isinstance(shape, list) or len(shape) > _MOST_SIDES:
        raise BadParameter("shape is not a list of whole numbers.")
    if datatype == "BYTES":
        if math.prod(shape) != 1:
            raise unsupported(f"A tensor of {math.prod(shape)} pictures")
        return _file(_element(data))
    if datatype == "UINT8":
        return _pixels(data, shape)
    raise BadParameter(
        f"datatype is {str(datatype)[:20]!r}.",
        hint="Send the picture's file as BYTES, or its pixels as UINT8.",
    )


def _element(data: Any) -> Any:
    """Return the one element of BYTES: binary data has its length before it, JSON has lists around it."""
    if isinstance(data, bytes):
        if int.from_bytes(data[:4], "little") != len(data) - 4:
            raise BadParameter("The element's length does not agree with the binary data's.")
        return data[4:]
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    return data


def _file(element: Any) -> bytes:
    """Return a picture's file, which text-only clients send in base64."""
    if isinstance(element, bytes):
        if sniff.format_of(element[:256]) is not None:
            return element
        try:
            return base64.b64decode(element, validate=True) if element else element
        except binascii.Error:
            return element
    return request_body.picture_of(element)


def _pixels(data: Any, shape: list[int]) -> bytes:
    """Return a file of pixels (H, W, 3) or (1, H, W, 3); a tensor of one dimension is a file already."""
    try:
        flat = (
            np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.array(data, np.uint8).reshape(-1)
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise BadParameter("data is not of numbers from 0 to 255.") from error
    if flat.size != math.prod(shape):
        raise BadParameter(f"data has {flat.size} elements, not those of shape {shape}.")
    sides = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    if len(sides) == 1:
        return flat.tobytes()
    if len(sides) != 3 or sides[2] != 3 or flat.size == 0:
        raise BadParameter(f"shape is {shape}.", hint="Pixels are of shape [height, width, 3], in RGB.")
    return encode.encode(flat.reshape(sides), "BMP")


def _first_number(data: Any) -> object:
    if isinstance(data, bytes):
        return float(np.frombuffer(data, np.float32)[0]) if len(data) == 4 else math.nan
    return _element(data)


def wanted(asked: dict[str, Any], info: ModelInfo) -> dict[str, bool]:
    """Return the outputs to send, and for each whether as binary data."""
    known = outputs_of(info)
    by_default = (
        request_body.mapping(asked.get("parameters"), "parameters").get("binary_data_output", False) is True
    )
    wanted = {}
    for output in request_body.mappings(asked.get("outputs") or [], "outputs"):
        name = output.get("name")
        if not isinstance(name, str) or name not in known:
            raise BadParameter(
                f"There is no output {str(name)[:40]!r}.", hint=f"There are {', '.join(known)}."
            )
        parameters = request_body.mapping(output.get("parameters"), "parameters")
        if parameters.get("classification") or parameters.get("shared_memory_region"):
            raise unsupported("Classification or shared memory")
        wanted[name] = parameters.get("binary_data", by_default) is True
    return wanted or dict.fromkeys(known, by_default)


def outputs_of(info: ModelInfo) -> dict[str, tuple[str, list[int]]]:
    """Return datatype and shape behind the number of instances of each output of a model."""
    outputs: dict[str, tuple[str, list[int]]] = {
        "boxes": ("FP32", [4]),
        "scores": ("FP32", []),
        "class_ids": ("INT64", []),
        "labels": ("BYTES", []),
    }
    return outputs | {"masks": ("BYTES", [])} if info.has_masks else outputs


def tensor(name: str, found: Detections, info: ModelInfo, *, as_binary: bool) -> tuple[dict[str, Any], bytes]:
    """Return an output, and its binary data if it goes as such.

    boxes: xyxy in pixels of the picture. masks: COCO's compressed run-length encoding, each as JSON.
    """
    datatype, rest = outputs_of(info)[name]
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(found), *rest]}
    if datatype == "BYTES":
        texts = _texts(name, found)
        items = [text.encode() for text in texts]
        buffer = b"".join(len(item).to_bytes(4, "little") + item for item in items)
        data: Any = texts
    else:
        array = np.asarray(getattr(found, name), _DTYPES[datatype])
        buffer, data = array.tobytes(), array.reshape(-1).tolist()
    if as_binary:
        return tensor | {"parameters": {"binary_data_size": len(buffer)}}, buffer
    return tensor | {"data": data}, b""


def _texts(name: str, found: Detections) -> list[str]:
    if name == "labels":
        return [instance.label for instance in found]
    sizes = {"width": found.width, "height": found.height}
    masks = found.masks or [None] * len(found)  # a model that was there a moment ago can be gone
    return ["" if mask is None else json.dumps(mask.to_rle(**sizes)) for mask in masks]
