"""LabelMe's JSON, one file beside each picture.

Source: the labelme package, labelme/_label_file.py.

Masks are polygons along the edges of pixels, one shape for each part, with cuts of no width to its holes;
shapes of one object share a `group_id`. An instance without a mask is a rectangle. `score` is an addition of
ours, which LabelMe keeps.
"""

import json
from typing import Any

from flask_detector.formats.dataset_zip import PerPicture
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import parts_of, without_holes

_VERSION = "5.5.0"  # of the form, which has not changed since


def write(found: Detections, filename: str) -> bytes:
    """Return the annotation of one picture; it names the picture's file and does not hold it."""
    shapes: list[dict[str, Any]] = []
    for number, one in enumerate(found):
        shapes += _shapes(one, number)
    form: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": filename,
        "imageData": None,
        "imageHeight": found.height,
        "imageWidth": found.width,
    }
    return json.dumps(form, indent=2, ensure_ascii=False).encode() + b"\n"


def dataset() -> PerPicture:
    """Return an empty data set: pictures and annotations side by side, as LabelMe opens a folder."""
    return PerPicture(write, ".json", pictures="")


def _shapes(one: Instance, number: int) -> list[dict[str, Any]]:
    polygons = [without_holes(part).tolist() for part in parts_of(one.mask)] if one.mask is not None else []
    common: dict[str, Any] = {
        "label": one.label,
        "group_id": number if len(polygons) > 1 else None,
        "description": "",
        "flags": {},
        "mask": None,
        "score": round(one.score, 6),
    }
    if polygons:
        return [{**common, "points": points, "shape_type": "polygon"} for points in polygons]
    x1, y1, x2, y2 = (round(side, 2) for side in one.box)
    return [{**common, "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}]
