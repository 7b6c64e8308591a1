"""COCO's two forms: a data set with its annotations, and the results that an evaluation reads.

Source: https://cocodataset.org, "Data format" and "Results format"; pycocotools, coco.py.

Boxes are x, y, width, height in pixels. Categories have COCO's own ids, 1 to 90, where the model knows COCO's
80 classes, else 1 to N. A picture whose file is named by a number, as COCO's are, has that number as its id.

Polygons run along the edges of pixels, one for each part of a mask, with cuts of no width to its holes:
filled by pycocotools they give the mask back without a pixel's difference. An instance whose mask is empty
is left out of these, since pycocotools can't measure masks where one has no polygon; as run lengths, it is
outside all over. An instance without a mask, as a model for boxes finds it, has an empty segmentation in a
data set and none in results; a box is not passed off as an outline. In a data set the `attributes` of an
instance, which CVAT and datumaro read, tell what a person has said of it in a corrected result.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from flask_detector.formats.categories import Categories
from flask_detector.formats.dataset_zip import Dataset, Spool, stem_of
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.masks import Mask
from flask_detector.structures.polygons import parts_of, without_holes

# The largest id that every reader of JSON can hold.
_LARGEST_ID = 2**53


def results(
    found: Detections, *, image_id: int = 1, categories: Categories | None = None
) -> list[dict[str, Any]]:
    """Return one entry for each instance, in COCO's results format; masks as compressed run lengths."""
    categories = categories or _categories_of(found)
    entries = []
    for one in found:
        entry: dict[str, Any] = {
            "image_id": image_id,
            "category_id": categories.coco_id(one.label),
            "bbox": _xywh(one),
            "score": round(one.score, 6),
        }
        if one.mask is not None:
            entry["segmentation"] = one.mask.to_rle(width=found.width, height=found.height)
        entries.append(entry)
    return entries


def write_results(found: Detections, filename: str) -> bytes:
    """Return the results of one picture as a JSON list."""
    return _json(results(found, image_id=_number_in(filename) or 1)).encode()


class ImageIds:
    """Gives each picture an id: the number that its file is named by, else the next that is free."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._next = 1

    def take(self, filename: str) -> int:
        """Return the id of a picture."""
        id = _number_in(filename)
        if id is None or id in self._taken:
            while self._next in self._taken:
                self._next += 1
            id = self._next
        self._taken.add(id)
        return id


class CocoDataset(Dataset):
    """``annotations/instances_default.json`` and the folder ``images``, as CVAT and datumaro lay them out.

    Where pictures belong to parts there is a file and a folder for each, such as ``instances_train.json``.

    masks: polygons or plain run lengths.
    """

    pictures: str | None = "images/"

    def __init__(self, masks: Literal["polygons", "rle"]) -> None:
        self._masks = masks
        self._categories = Categories()
        self._ids = ImageIds()
        self._parts: dict[str, tuple[Spool, Spool]] = {}
        self._count = 0

    def folder(self, split: str | None) -> str:
        """Return the folder for the pictures of a part."""
        return f"images/{split}/" if split else "images/"

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; its annotations go to the file of its part."""
        self._categories.add(found.labels)
        id = self._ids.take(name)
        images, annotations = self._parts.setdefault(split or "default", (Spool(",\n"), Spool(",\n")))
        images.write(_json(_image(id, name, found)))
        for one in found:
            if self._masks == "polygons" and one.mask is not None and one.mask.area == 0:
                continue
            annotations.write(_json(self._annotation(found, one, image_id=id)))
        return []

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the annotations, of each part all classes."""
        parts = self._parts or {"default": (Spool(), Spool())}
        return [
            (f"annotations/instances_{split}.json", self._content(*spools)) for split, spools in parts.items()
        ]

    def _content(self, images: Spool, annotations: Spool) -> Iterator[bytes]:
        yield b'{"info": {"description": "Detected by flask-detector"}, "licenses": [], "categories": [\n'
        categories = [
            {"id": self._categories.coco_id(label), "name": label, "supercategory": ""}
            for label in self._categories.labels
        ]
        yield ",\n".join(_json(category) for category in categories).encode()
        yield b'\n], "images": [\n'
        yield from images.pieces()
        yield b'\n], "annotations": [\n'
        yield from annotations.pieces()
        yield b"\n]}\n"

    def _annotation(self, found: Detections, one: Instance, *, image_id: int) -> dict[str, Any]:
        self._count += 1
        bbox = _xywh(one)
        segmentation: Any = []
        if one.mask is not None:
            segmentation = _polygons(one.mask) if self._masks == "polygons" else _plain_rle(one.mask, found)
        entry = {
            "id": self._count,
            "image_id": image_id,
            "category_id": self._categories.coco_id(one.label),
            "bbox": bbox,
            "area": round(bbox[2] * bbox[3], 2) if one.mask is None else one.mask.area,
            "segmentation": segmentation,
            "iscrowd": 0,
            "score": round(one.score, 6),
        }
        if one.origin is not None:
            entry["attributes"] = {"source": one.origin.source, "verified": one.origin.verified}
        return entry


class CocoResults(Dataset):
    """``results.json`` and, since that knows pictures by number alone, ``images.json`` with their names."""

    pictures: str | None = None

    def __init__(self) -> None:
        self._categories = Categories()
        self._ids = ImageIds()
        self._images: list[str] = []
        self._entries = Spool(",\n")

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; its results go to the one file of all."""
        self._categories.add(found.labels)
        id = self._ids.take(name)
        self._images.append(_json(_image(id, name, found)))
        for entry in results(found, image_id=id, categories=self._categories):
            self._entries.write(_json(entry))
        return []

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the results and the names."""
        names = f"[{','.join(self._images)}]\n".encode()
        return [("results.json", self._content()), ("images.json", [names])]

    def _content(self) -> Iterator[bytes]:
        yield b"[\n"
        yield from self._entries.pieces()
        yield b"\n]\n"


def _categories_of(found: Detections) -> Categories:
    categories = Categories()
    categories.add(found.labels)
    return categories


def _number_in(filename: str) -> int | None:
    stem = stem_of(filename)
    number = int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 20 else None
    return number if number is not None and number <= _LARGEST_ID else None


def _image(id: int, name: str, found: Detections) -> dict[str, Any]:
    return {"id": id, "file_name": name, "width": found.width, "height": found.height}


def _xywh(one: Instance) -> list[float]:
    x1, y1, x2, y2 = one.box
    return [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)]


def _polygons(mask: Mask) -> list[list[int]]:
    return [without_holes(part).ravel().tolist() for part in parts_of(mask)]


def _plain_rle(mask: Mask, found: Detections) -> dict[str, Any]:
    counts = mask.counts_in(found.width, found.height)
    return {"size": [found.height, found.width], "counts": counts.tolist()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
