"""Label Studio's tasks: its JSON and JSON-MIN exports, and what is imported into it.

Source: https://labelstud.io/guide/export, /guide/task_format; label-studio-sdk, converter/converter.py.

Positions are percent of the picture's sides. What is drawn and its label are one region, or two with one id.
Regions of one label and `meta.object`, which our exports have, are one object. A picture is the file that
ends like the task's address of it, without what Label Studio puts before its name.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from flask_detector.datasets import json_reader, xml_reader
from flask_detector.datasets.files import Files
from flask_detector.datasets.reader import Labels, Reader, each_usable
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import (
    Shape,
    ellipse_ring,
    label_of,
    numbers_of,
    rectangle_ring,
    ring_of,
    score_of,
    size_of,
)
from flask_detector.formats.brush_rle import unpacked
from flask_detector.imaging.limits import Limits
from flask_detector.structures.masks import Mask

_LARGEST_FILE: Final = 4_000_000_000
_LARGEST_CONFIG: Final = 1_000_000
_UPLOADED: Final = re.compile("[0-9a-f]{8}-")
_DATA: Final = re.compile(r"data:image/[\w.+-]+;base64,")
_PLACES: Final = {"rle", "points", "radiusX", "height"}

Entry = Mapping[str, Any]


class LabelStudioReader(Reader):
    """Reads the JSON files of a data set, task by task."""

    title = "Label Studio"

    def __init__(self, files: Files, paths: list[str], remarks: Remarks, limits: Limits) -> None:
        super().__init__(files, paths, remarks, limits)
        for path in files.ending("label_config.xml"):
            try:
                with files.open(path, _LARGEST_CONFIG) as file:
                    names = (
                        one.get("value") for child in xml_reader.children(file) for one in child.iter("Label")
                    )
                    self.classes = list(dict.fromkeys(filter(None, names)))
            except Unusable as error:
                remarks.left_out(path, str(error))

    def labels(self) -> Iterator[Labels]:
        """Yield the picture of each task."""
        for path in self.paths:
            try:
                with self.files.open(path, _LARGEST_FILE) as file:
                    for number, (_, task) in enumerate(json_reader.members(file), 1):
                        if isinstance(task, dict):
                            yield self._picture(
                                path, f"{path}, task {str(task.get('id', number))[:40]}", task
                            )
                        else:
                            self.remarks.left_out(f"{path}, task {number}", "is no object of JSON")
            except Unusable as error:
                self.remarks.left_out(path, str(error))

    def _picture(self, path: str, where: str, task: Entry) -> Labels:
        data = task["data"] if isinstance(task.get("data"), dict) else task
        texts = [value for _, value in sorted(data.items(), key=lambda item: item[0] != "image")]
        urls = [text for text in texts if isinstance(text, str)]
        found = ((url, self.files.find(name, near=path)) for url in urls for name in _names(url))
        url, picture = next((pair for pair in found if pair[1]), (next(iter(urls), ""), None))
        regions = self._regions(where, task)
        sizes = (size_of(one.get("original_width"), one.get("original_height")) for one in regions)
        name = PurePosixPath(next(_names(url), "")).name
        embedded = next((url for url in urls if _DATA.match(url)), None)
        return Labels(
            where,
            f"{where}.png" if embedded else name,
            picture,
            next(filter(None, sizes), None),
            partial(_shapes, where, regions),
            embedded=lambda: None if embedded is None else _decoded(embedded),
        )

    def _regions(self, where: str, task: Entry) -> list[Entry]:
        """Return the regions of the first annotation, or else prediction; others are remarked."""
        for kind in ("annotations", "completions", "predictions"):
            results = task.get(kind)
            entries = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
            entries = [one for one in entries if isinstance(one.get("result"), list)]
            entries = [one for one in entries if not one.get("was_cancelled")]
            if entries:
                if len(entries) > 1:
                    reason = f"has {len(entries)} {kind} of the picture; the first is read"
                    self.remarks.left_out(where, reason)
                score = score_of(entries[0]) if kind == "predictions" else None
                found = entries[0]["result"]
                return [{"score": score} | (one if isinstance(one, dict) else {}) for one in found]
        # JSON-MIN: by the name of the tag, a list of values that have in them what else is said of a region.
        lists = (value for value in task.values() if isinstance(value, list))
        values = (value for entries in lists for value in entries if isinstance(value, dict))
        return [{"value": value} | value for value in values if "original_width" in value]


def _names(url: str) -> Iterator[str]:
    """Yield how the file of a picture's address may be called."""
    try:
        parts = urlsplit(url)
        path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    except ValueError:
        path = url
    for name in (url, path):
        yield name
        folder, _, last = name.rpartition("/")
        if _UPLOADED.match(last):
            yield f"{folder}/{last[9:]}"


def _decoded(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2])
    except (binascii.Error, ValueError):
        raise Unusable("has a picture that is not base64") from None


def _shapes(where: str, regions: list[Entry], width: int, height: int) -> Iterator[Shape | Remark]:
    groups: dict[str, list[Entry]] = {}
    for number, region in enumerate(regions, 1):
        groups.setdefault(str(region.get("id", f"number {number}"))[:40], []).append(region)
    return each_usable(
        ((f"{where}, region {id}", parts) for id, parts in groups.items()),
        lambda at, parts: _shape(at, parts, width, height),
    )


def _shape(where: str, parts: list[Entry], width: int, height: int) -> Shape:
    """Return the object of the regions of one id; raises Unusable."""
    drawn: list[tuple[Entry, Entry]] = [
        (one, one["value"]) for one in parts if isinstance(one.get("value"), dict)
    ]
    nothing: tuple[Entry, Entry] = parts[0], {}
    region, value = next((pair for pair in drawn if _PLACES & set(pair[1])), nothing)
    if not value:
        raise Unusable(f"is {str(region.get('type', 'something'))[:40]}, which is no area")
    named = ((key, found) for _, said in drawn for key, found in said.items())
    lists = [found for key, found in named if key.endswith("labels") and isinstance(found, list)]
    if region.get("image_rotation"):
        raise Unusable("is on a picture that was turned in Label Studio")
    labels = next(filter(None, lists), [None])
    meta = region.get("meta")
    group = meta.get("object") if isinstance(meta, dict) else None
    shape = partial(
        Shape,
        where,
        label_of(labels[0]),
        score=score_of(region),
        group=str(group) if group is not None else None,
        note=f"has {len(labels)} labels; the first is kept" if len(labels) > 1 else None,
    )
    if "rle" in value:
        return shape(mask=_mask(value["rle"], width, height))
    sides = np.array([width, height]) / 100
    if "points" in value:
        return shape(rings=[ring_of(value["points"]) * sides])
    degrees, *place = numbers_of([value.get("rotation") or 0, value.get("x"), value.get("y")], 3)
    x, y = np.multiply(place, sides).tolist()
    if "radiusX" in value:
        radii = numbers_of([value["radiusX"], value.get("radiusY")], 2)
        rx, ry = np.multiply(radii, sides).tolist()
        return shape(rings=[ellipse_ring(x, y, (rx, ry), degrees)], note="was an ellipse; now an outline")
    w, h = np.multiply(numbers_of([value.get("width"), value.get("height")], 2), sides).tolist()
    box = (x, y, x + w, y + h)
    if degrees:
        return shape(rings=[rectangle_ring(box, degrees, around=(x, y))], note="was turned; now an outline")
    return shape(box=box)


def _mask(rle: object, width: int, height: int) -> Mask:
    try:
        if not isinstance(rle, list):
            raise TypeError
        return unpacked(rle, width=width, height=height)
    except (ValueError, TypeError, OverflowError):
        raise Unusable("has a mask that is damaged, or of another size than the picture") from None
