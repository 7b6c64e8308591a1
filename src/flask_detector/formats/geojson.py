"""GeoJSON (RFC 7946) in the pixels of the picture instead of degrees.

x grows to the right and y downwards, from the picture's upper left corner. Each instance is a feature: its
mask as polygons along the edges of pixels, with holes; what a model for boxes found is its box. `bbox` is the
shape's, which may reach beyond the box that the model gave; this one is the property `box`. An instance whose
mask is empty has no shape and is left out. The first ring of a polygon runs counterclockwise and its holes
clockwise where y points up, as the RFC wants.
"""

import json
from typing import Any

import numpy as np

from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import Ring, parts_of


def write(found: Detections, filename: str) -> bytes:
    """Return a FeatureCollection; it has the picture's name and size, and the model's, as foreign members."""
    document = {
        "type": "FeatureCollection",
        "features": [_feature(one) for one in found if one.mask is None or one.mask.area],
        "file": filename,
        "width": found.width,
        "height": found.height,
        "model": found.model,
    }
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _feature(one: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = box = [round(side, 3) for side in one.box]
    properties: dict[str, Any] = {"label": one.label, "class_id": one.class_id, "score": round(one.score, 6)}
    if one.origin is not None:
        properties |= {"source": one.origin.source, "verified": one.origin.verified}
    if one.mask is None:
        polygons: list[list[list[list[float]]]] = [[[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]]]
        bbox = box
    else:
        parts = parts_of(one.mask)
        polygons = [[_closed(ring) for ring in (part.outer, *part.holes)] for part in parts]
        corners = np.concatenate([part.outer for part in parts])
        bbox = [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]
        properties |= {"area": one.mask.area, "box": box}
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": polygons[0]}
    if len(polygons) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Feature", "bbox": bbox, "geometry": geometry, "properties": properties}


def _closed(ring: Ring) -> list[list[float]]:
    corners: list[list[float]] = ring.tolist()
    return [*corners, corners[0]]
