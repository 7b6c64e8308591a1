"""LabelMe's JSON, one file beside each picture.

Source: the labelme package, labelme/_label_file.py.

A mask is a shape of the type "mask", as LabelMe's own tools make it: a bitmap within a rectangle whose last
column and row are inside it; LabelMe gets it back exactly. Other programs that read these files know polygons
alone. The second format has them: along the edges of pixels, one shape for each part of a mask, with cuts of
no width to its holes; shapes of one object share a `group_id`. There an instance whose mask is empty is left
out, since its rectangle would be filled. What a model for boxes found is a rectangle. `score` is an addition
of ours, which LabelMe keeps. Of a corrected result the flags of a shape tell whether a person drew it and
whether one has verified it.
"""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from flask_detector.structures.boxes import pixels_of
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import parts_of, without_holes

_VERSION = "5.5.0"  # of the format, which has not changed since


def write(found: Detections, filename: str) -> bytes:
    """Return the annotation of one picture; it names the picture's file and does not hold it."""
    return _file([_shape(one, found) for one in found], found, filename)


def write_polygons(found: Detections, filename: str) -> bytes:
    """Return the same with masks as polygons."""
    shapes = [shape for number, one in enumerate(found) for shape in _polygons(one, number)]
    return _file(shapes, found, filename)


def _file(shapes: list[dict[str, Any]], found: Detections, filename: str) -> bytes:
    document: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": filename,
        "imageData": None,
        "imageHeight": found.height,
        "imageWidth": found.width,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _shape(one: Instance, found: Detections) -> dict[str, Any]:
    if one.mask is None:
        return _rectangle(one)
    mask = one.mask
    left, top, right, bottom = mask.x, mask.y, mask.x + mask.width, mask.y + mask.height
    bitmap = mask.bitmap()
    if mask.area == 0:
        left, top, right, bottom = pixels_of(one.box, width=found.width, height=found.height)
        bitmap = np.zeros((bottom - top, right - left), bool)
    file = io.BytesIO()
    Image.fromarray(bitmap.astype(np.uint8)).save(file, "PNG")
    return {
        **_common(one, None),
        "points": [[left, top], [right - 1, bottom - 1]],
        "shape_type": "mask",
        "mask": base64.b64encode(file.getvalue()).decode(),
    }


def _polygons(one: Instance, number: int) -> list[dict[str, Any]]:
    if one.mask is None:
        return [_rectangle(one)]
    polygons = [without_holes(part).tolist() for part in parts_of(one.mask)]
    common = _common(one, number if len(polygons) > 1 else None)
    return [{**common, "points": points, "shape_type": "polygon"} for points in polygons]


def _rectangle(one: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(side, 2) for side in one.box)
    return {**_common(one, None), "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}


def _common(one: Instance, group: int | None) -> dict[str, Any]:
    origin = one.origin
    flags = {} if origin is None else {"person": origin.source == "person", "verified": origin.verified}
    return {
        "label": one.label,
        "group_id": group,
        "description": "",
        "flags": flags,
        "mask": None,
        "score": round(one.score, 6),
    }
