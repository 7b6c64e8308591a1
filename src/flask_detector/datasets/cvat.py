"""CVAT's XML 1.1, "CVAT for images": one file for all pictures, or one for each task.

Source: https://docs.cvat.ai, "CVAT for images"; cvat/apps/dataset_manager/formats/cvat.py.

Masks are run lengths, row by row, over the rectangle that they lie in. Boxes and ellipses may be turned
around their middle, clockwise.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from flask_detector.datasets import xml_reader
from flask_detector.datasets.reader import SPLITS, Labels, Reader, each_usable
from flask_detector.datasets.remarks import Remark, Unusable
from flask_detector.datasets.shapes import (
    Shape,
    ellipse_ring,
    label_of,
    numbers_of,
    rectangle_ring,
    ring_of,
    size_of,
)
from flask_detector.structures.annotations import MOST_LABELS
from flask_detector.structures.masks import Mask

_LARGEST_FILE: Final = 4_000_000_000


class CvatReader(Reader):
    """Reads the XML files of a data set, picture by picture."""

    title = "CVAT"

    def labels(self) -> Iterator[Labels]:
        """Yield each picture; what belongs to none is remarked."""
        for path in self.paths:
            try:
                with self.files.open(path, _LARGEST_FILE) as file:
                    for child in xml_reader.children(file):
                        where = f"{path}, line {child.get('line')}"
                        if child.tag == "meta":
                            names = (one.text for one in child.iterfind(".//labels/label/name"))
                            found = dict.fromkeys([*self.classes, *filter(None, names)])
                            self.classes = list(found)[:MOST_LABELS]
                        elif child.tag == "image":
                            yield self._picture(path, where, child)
                        elif child.tag == "track":
                            reason = "is a track of a video; of a video export its frames as CVAT for images"
                            self.remarks.left_out(where, reason)
            except Unusable as error:
                self.remarks.left_out(path, str(error))

    def _picture(self, path: str, where: str, image: Element) -> Labels:
        name = image.get("name", "")
        entries = [(f"{path}, line {one.get('line')}", one) for one in image]
        return Labels(
            f"{where} ({name})",
            name,
            self.files.find(name, near=path) if name else None,
            size_of(image.get("width"), image.get("height")),
            partial(_shapes, entries),
            SPLITS.get(image.get("subset", "").lower()),
        )


def _shapes(entries: list[tuple[str, Element]], width: int, height: int) -> Iterator[Shape | Remark]:
    return each_usable(entries, lambda where, entry: _shape(where, entry, width, height))


def _shape(where: str, entry: Element, width: int, height: int) -> Shape:
    """Return an object; raises Unusable."""
    shape = partial(Shape, where, label_of(entry.get("label")))
    (degrees,) = numbers_of([entry.get("rotation", "0")], 1)
    if entry.tag == "box":
        x1, y1, x2, y2 = _numbers(entry, "xtl", "ytl", "xbr", "ybr")
        if degrees:
            return shape(rings=[rectangle_ring((x1, y1, x2, y2), degrees)], note="was turned; now an outline")
        return shape(box=(x1, y1, x2, y2))
    if entry.tag == "polygon":
        points = entry.get("points", "").split(";")
        return shape(rings=[ring_of([point.split(",") for point in points])])
    if entry.tag == "ellipse":
        x, y, rx, ry = _numbers(entry, "cx", "cy", "rx", "ry")
        return shape(rings=[ellipse_ring(x, y, (rx, ry), degrees)], note="was an ellipse; now an outline")
    if entry.tag == "mask":
        return shape(mask=_mask(entry, width, height))
    raise Unusable(f"is a {entry.tag[:40]}, which is no area")


def _mask(entry: Element, width: int, height: int) -> Mask:
    left, top, w, h = map(int, _numbers(entry, "left", "top", "width", "height"))
    if min(left, top, w, h) < 0 or left + w > width or top + h > height:
        raise Unusable("has a mask that leaves the picture")
    try:
        runs = np.array(entry.get("rle", "").split(","), np.int64)
    except (ValueError, OverflowError):
        raise Unusable("has a mask that is damaged") from None
    if (runs < 0).any() or (runs > w * h).any() or int(runs.sum()) != w * h:
        raise Unusable("has a mask that is damaged")
    inside = np.arange(len(runs)) % 2 == 1
    return Mask.from_bitmap(np.repeat(inside, runs).reshape(h, w), x=left, y=top).cropped()


def _numbers(entry: Element, *names: str) -> list[float]:
    return numbers_of([entry.get(name) for name in names], len(names))
