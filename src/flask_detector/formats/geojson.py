"""GeoJSON (RFC 7946) in the pixels of the picture instead of degrees.

x grows to the right and y downwards, from the picture's upper left corner. Each instance is a feature: its
mask as polygons along the edges of pixels, with holes; without a mask, its box. The first ring of a polygon
runs counterclockwise and its holes clockwise where y points up, as the RFC wants.
"""

import json
from typing import Any

from flask_detector.formats.dataset_zip import PerPicture
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import Ring, parts_of


def write(found: Detections, filename: str) -> bytes:
    """Return a FeatureCollection; it has the picture's name and size, and the model's, as foreign members."""
    form = {
        "type": "FeatureCollection",
        "features": [_feature(one) for one in found],
        "file": filename,
        "width": found.width,
        "height": found.height,
        "model": found.model,
    }
    return json.dumps(form, ensure_ascii=False).encode() + b"\n"


def dataset() -> PerPicture:
    """Return an empty data set, a file for each picture."""
    return PerPicture(write, ".geojson")


def _feature(one: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = box = [round(side, 3) for side in one.box]
    polygons: list[list[list[list[float]]]] = []
    if one.mask is not None:
        polygons = [[_closed(ring) for ring in (part.outer, *part.holes)] for part in parts_of(one.mask)]
    if not polygons:
        polygons = [[[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]]]
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": polygons[0]}
    if len(polygons) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    properties: dict[str, Any] = {"label": one.label, "class_id": one.class_id, "score": round(one.score, 6)}
    if one.mask is not None:
        properties["area"] = one.mask.area
    return {"type": "Feature", "bbox": box, "geometry": geometry, "properties": properties}


def _closed(ring: Ring) -> list[list[float]]:
    corners: list[list[float]] = ring.tolist()
    return [*corners, corners[0]]
