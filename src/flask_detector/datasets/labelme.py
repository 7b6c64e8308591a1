"""LabelMe's JSON, one file a picture, as LabelMe, X-AnyLabeling and others write it.

Source: the labelme package, labelme/_label_file.py and utils/shape.py; X-AnyLabeling, docs on its format.

Polygons and masks of one label and `group_id` are one object. A rectangle is two of its corners or all four.
"""

import base64
import binascii
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from flask_detector.datasets import bitmaps, json_reader
from flask_detector.datasets.reader import Labels, PerPictureReader, each_usable
from flask_detector.datasets.remarks import Remark, Unusable
from flask_detector.datasets.shapes import (
    Shape,
    ellipse_ring,
    is_true_in,
    label_of,
    numbers_of,
    ring_of,
    score_of,
    size_of,
)
from flask_detector.structures.masks import Mask

_LARGEST_FILE: Final = 500_000_000
_OUTLINES: Final = ("polygon", "rotation", "oriented_rectangle", None)


class LabelMeReader(PerPictureReader):
    """Reads the JSON files of a data set."""

    title = "LabelMe"

    def labels_in(self, path: str) -> Labels:
        """Return what a file says of its picture."""
        shapes: list[Any] = []
        about: dict[str, Any] = {}
        with self.files.open(path, _LARGEST_FILE) as file:
            for key, value in json_reader.members(file):
                if key == "shapes":
                    shapes.append(value)
                elif key != "imageData":
                    about[key] = value
        name = about.get("imagePath")
        name = name if isinstance(name, str) else ""
        picture = (self.files.find(name, near=path) if name else None) or self.files.find_stem(path[:-5])
        size = size_of(about.get("imageWidth"), about.get("imageHeight"))
        return Labels(
            path,
            name or path,
            picture,
            size,
            partial(self._shapes, path, shapes),
            embedded=partial(self._embedded, path),
        )

    def _embedded(self, path: str) -> bytes | None:
        """Return the picture that the label file has in itself; raises Unusable."""
        with self.files.open(path, _LARGEST_FILE) as file:
            value = next((value for key, value in json_reader.members(file) if key == "imageData"), None)
        return _decoded(value, "imageData") if isinstance(value, str) else None

    def _shapes(self, path: str, shapes: list[Any], _width: int, _height: int) -> Iterator[Shape | Remark]:
        return each_usable(
            ((f"{path}, shape {number}", shape) for number, shape in enumerate(shapes, 1)), self._shape
        )

    def _shape(self, where: str, entry: Any) -> Shape:
        if not isinstance(entry, dict):
            raise Unusable("is no object of JSON")
        group, points, kind = entry.get("group_id"), entry.get("points"), entry.get("shape_type")
        shape = partial(
            Shape,
            where,
            label_of(entry.get("label")),
            score=score_of(entry),
            verified=is_true_in(entry, "flags", "verified"),
            group=group if isinstance(group, str | int) else None,
        )
        if kind in _OUTLINES:
            return shape(rings=[ring_of(points)])
        if kind == "rectangle":
            corners = _corners(points, (2, 4))
            (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
            return shape(box=(x1, y1, x2, y2))
        if kind == "circle":
            (x, y), edge = _corners(points, (2,)).tolist()
            radius = float(np.hypot(edge[0] - x, edge[1] - y))
            return shape(rings=[ellipse_ring(x, y, (radius, radius))])
        if kind == "mask":
            (x1, y1), (x2, y2) = _corners(points, (2,)).astype(int).tolist()
            data = _decoded(entry.get("mask"), "mask")
            values = bitmaps.values_of(data, self.limits, size=(x2 - x1 + 1, y2 - y1 + 1))
            if x1 < 0 or y1 < 0:
                raise Unusable("has a mask that leaves the picture")
            mask = Mask.from_bitmap(values > 0, x=x1, y=y1).cropped()
            # What has no pixel is a box: the rectangle that it was looked for in.
            return shape(box=None if mask.area else (x1, y1, x2 + 1, y2 + 1), mask=mask)
        raise Unusable(f"is a {str(kind)[:40]}, which is no area")


def _corners(points: Any, counts: tuple[int, ...]) -> Any:
    """Return corners (K, 2), K one of the counts; raises Unusable."""
    if not isinstance(points, list) or len(points) not in counts:
        raise Unusable(f"must have {' or '.join(map(str, counts))} points")
    return np.array([numbers_of(point, 2) for point in points])


def _decoded(text: object, name: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "", validate=False)
    except (binascii.Error, ValueError):
        raise Unusable(f"has {name} that is not base64") from None
