"""Label Studio's tasks with predictions, or with annotations where a person has corrected them.

Source: https://labelstud.io/guide/predictions and /guide/tasks, and label-studio-sdk's LabelInterface.

Positions and sizes are percent of the picture. A mask is a polygon along the edges of pixels for each of its
parts, with cuts of no width to its holes; regions of one object share `meta.object`. An instance without a
mask is a rectangle. `label_config` goes with the tasks: set it in the project first. The address of the
picture is its file name, which the project's storage must resolve.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from flask_detector.formats.categories import Categories
from flask_detector.formats.dataset_zip import Dataset, Spool
from flask_detector.formats.xml_writer import child, serialised
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import parts_of, without_holes

_IMAGE, _BOX, _POLYGON = "image", "box", "polygon"


def write(found: Detections, filename: str) -> bytes:
    """Return a list of one task."""
    return f"[{json.dumps(task(found, filename), ensure_ascii=False)}]\n".encode()


def task(found: Detections, filename: str) -> dict[str, Any]:
    """Return the task of one picture with one prediction, or the annotation that was made of it."""
    regions = [region for number, one in enumerate(found) for region in _regions(found, one, number)]
    if found.origins is not None:
        return {"data": {_IMAGE: filename}, "annotations": [{"result": regions}]}
    prediction: dict[str, Any] = {"model_version": found.model, "result": regions}
    if len(found):
        prediction["score"] = round(float(found.scores.mean()), 6)
    return {"data": {_IMAGE: filename}, "predictions": [prediction]}


def label_config(labels: Iterable[str]) -> str:
    """Return the labelling interface that the predictions are for."""
    view = Element("View")
    child(view, "Image", name=_IMAGE, value=f"${_IMAGE}")
    names = list(labels)
    for tag, name in (("RectangleLabels", _BOX), ("PolygonLabels", _POLYGON)):
        control = child(view, tag, name=name, toName=_IMAGE)
        for label in names:
            child(control, "Label", value=label)
    return serialised(view)


class LabelStudioDataset(Dataset):
    """``tasks.json``, ``label_config.xml`` and the folder ``images``."""

    pictures: str | None = "images/"

    def __init__(self) -> None:
        self._categories = Categories()
        self._tasks = Spool(",\n")

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; its task goes to the one file of all."""
        self._categories.add(found.labels)
        self._tasks.write(json.dumps(task(found, f"images/{name}"), ensure_ascii=False))
        return []

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the tasks and the labelling interface."""
        config = label_config(self._categories.labels) + "\n"
        return [("tasks.json", self._content()), ("label_config.xml", [config.encode()])]

    def _content(self) -> Iterator[bytes]:
        yield b"[\n"
        yield from self._tasks.pieces()
        yield b"\n]\n"


def _regions(found: Detections, one: Instance, number: int) -> list[dict[str, Any]]:
    about = {**region(found, one, to_name=_IMAGE), "meta": {"object": [str(number + 1)]}}
    if one.mask is None or one.mask.area == 0:
        value = {**rectangle(found, one), "rectanglelabels": [one.label]}
        return [
            {**about, "id": f"{number + 1}", "from_name": _BOX, "type": "rectanglelabels", "value": value}
        ]
    return [
        {
            **about,
            "id": f"{number + 1}-{part}",
            "from_name": _POLYGON,
            "type": "polygonlabels",
            "value": {**shape, "polygonlabels": [one.label]},
        }
        for part, shape in enumerate(polygons(found, one), 1)
    ]


def region(found: Detections, one: Instance, *, to_name: str) -> dict[str, Any]:
    """Return what all regions of an instance have, whatever their shape; to_name: the tag of the picture."""
    form = {
        "to_name": to_name,
        "original_width": found.width,
        "original_height": found.height,
        "image_rotation": 0,
        "score": round(one.score, 6),
    }
    if one.origin is not None:
        of_person = "manual" if one.origin.model_score is None else "prediction-changed"
        form["origin"] = of_person if one.origin.source == "person" else "prediction"
    return form


def rectangle(found: Detections, one: Instance) -> dict[str, Any]:
    """Return the value of an instance's box, without its label."""
    x1, y1, x2, y2 = one.box
    (x, y), (width, height) = _percent(found, [(x1, y1), (x2 - x1, y2 - y1)])
    return {"x": x, "y": y, "width": width, "height": height, "rotation": 0}


def polygons(found: Detections, one: Instance) -> list[dict[str, Any]]:
    """Return the values of an instance's polygons, without its label: its mask's parts, or else its box."""
    x1, y1, x2, y2 = one.box
    rings: list[Any] = [[(x1, y1), (x2, y1), (x2, y2), (x1, y2)]]
    if one.mask is not None:
        rings = [without_holes(part).tolist() for part in parts_of(one.mask)]
    return [{"points": _percent(found, ring), "closed": True} for ring in rings]


def _percent(found: Detections, points: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(x / found.width * 100, 6), round(y / found.height * 100, 6)] for x, y in points]
