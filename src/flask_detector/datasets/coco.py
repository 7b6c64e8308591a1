"""COCO's instances: one JSON file or several, for the same pictures or for others.

Source: https://cocodataset.org, "Data format"; pycocotools, coco.py.

A file may be larger than memory, and its entries come in any order: annotations wait in a temporary file
until all have been read, and then come picture by picture.
"""

import json
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import IO, Any, Final

import numpy as np

from flask_detector.datasets import json_reader
from flask_detector.datasets.reader import Labels, Reader, each_usable, folders_of, split_of
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape, is_true_in, numbers_of, ring_of, score_of, size_of
from flask_detector.structures.masks import Mask

_LARGEST_FILE: Final = 4_000_000_000
# What is in memory of all files: 240 MB of the places of annotations, beside the pictures.
_MOST_PICTURES: Final = 500_000
_MOST_ANNOTATIONS: Final = 10_000_000
_MOST_CATEGORIES: Final = 50_000
_KEPT: Final = ("category_id", "bbox", "segmentation", "iscrowd", "score", "attributes")

Find = Callable[[str], str | None]


class CocoReader(Reader):
    """Reads COCO files; all of them when the first picture is asked for."""

    title = "COCO"

    def labels(self) -> Iterator[Labels]:
        """Yield each picture of all files, with its annotations in all of them."""
        with tempfile.TemporaryFile() as spool:
            content = _Content(spool, self.remarks)
            for path in self.paths:
                try:
                    with self.files.open(path, _LARGEST_FILE) as file:
                        content.take(path, json_reader.members(file), partial(self._find, path))
                except Unusable as error:
                    self.remarks.left_out(path, str(error))
            self.classes = content.classes
            yield from content.labels()

    def _find(self, path: str, name: str) -> str | None:
        """Return where a picture is; of several that are called so, the one in the folder of its split."""
        names = [name, *(f"{folder}/{name}" for folder in folders_of(split_of(path, of_labels=True)))]
        return next((at for name in names if (at := self.files.find(name, near=path)) is not None), None)


class _Content:
    """What files hold; an id counts within its file alone."""

    def __init__(self, spool: IO[bytes], remarks: Remarks) -> None:
        self._spool, self._remarks = spool, remarks
        self._names: list[dict[int | str, str]] = []  # of categories by id, for each file
        self._numbers: dict[tuple[str, int | str], int] = {}  # of pictures, by file and id
        self._pictures: dict[int, Labels] = {}
        # Of each annotation: its picture's number, its file's, and its place in the temporary file.
        self._owners, self._origins, self._places = array("q"), array("q"), array("q")

    @property
    def classes(self) -> list[str]:
        """The names of all categories, in the order of the files."""
        return list(dict.fromkeys(name for names in self._names for name in names.values()))

    def take(self, path: str, members: Iterable[tuple[str, Any]], find: Find) -> None:
        """Read a file; raises Unusable, with what came before taken in."""
        self._names.append({})
        for key, value in members:
            if key not in {"images", "categories", "annotations"} or not isinstance(value, dict):
                continue
            id = value.get("image_id" if key == "annotations" else "id")
            if not isinstance(id, int | str):
                self._remarks.left_out(path, f"has an entry of {key} without an id")
            elif key == "categories":
                self._add_category(path, id, value.get("name"))
            elif key == "images":
                self._add_picture(path, id, value, find)
            else:
                self._add_annotation(path, id, value)

    def labels(self) -> Iterator[Labels]:
        """Yield the pictures, each with the annotations of all files."""
        for names in self._names:
            self._remarks.doubled(names.values())
        owners = np.frombuffer(self._owners, np.int64) if self._owners else np.zeros(0, np.int64)
        order = np.argsort(owners, kind="stable")
        starts = np.searchsorted(owners[order], np.arange(len(self._numbers) + 1))
        same: dict[str, list[int]] = {}
        for number, labels in self._pictures.items():
            same.setdefault(labels.path or f"{labels.where} {labels.name}", []).append(number)
        for numbers in same.values():
            places = np.concatenate([order[starts[n] : starts[n + 1]] for n in numbers]).tolist()
            yield replace(self._pictures[numbers[0]], shapes=partial(self._shapes, places))
        for (path, id), number in self._numbers.items():
            if number not in self._pictures and (count := starts[number + 1] - starts[number]):
                self._remarks.left_out(path, f"has {count} annotations of image {id}, which it does not list")

    def _add_category(self, path: str, id: int | str, name: object) -> None:
        if len(self._names[-1]) >= _MOST_CATEGORIES:
            raise Unusable(f"has more than {_MOST_CATEGORIES:,} categories")
        if not isinstance(name, str):
            self._remarks.left_out(f"{path}, category {id}", "has no name")
        elif self._names[-1].setdefault(id, name) != name:
            self._remarks.left_out(f"{path}, category {id} ({name})", "has the id of another one")

    def _add_picture(self, path: str, id: int | str, image: Mapping[str, Any], find: Find) -> None:
        where, name = f"{path}, image {id}", image.get("file_name")
        number = self._number(path, id)
        if not isinstance(name, str):
            self._remarks.left_out(where, "has no file_name")
        elif number in self._pictures:
            self._remarks.left_out(f"{where} ({name})", "has the id of another one")
        else:
            size = size_of(image.get("width"), image.get("height"))
            split = split_of(path, of_labels=True)
            self._pictures[number] = Labels(where, name, find(name), size, lambda _w, _h: (), split)

    def _add_annotation(self, path: str, id: int | str, annotation: Mapping[str, Any]) -> None:
        if len(self._owners) >= _MOST_ANNOTATIONS:
            raise Unusable(f"is read up to the {_MOST_ANNOTATIONS:,} annotations that there may be in all")
        self._owners.append(self._number(path, id))
        self._origins.append(len(self._names) - 1)
        self._places.append(self._spool.tell())
        entry = {"where": f"{path}, annotation {annotation.get('id', len(self._owners))}"}
        entry |= {key: annotation[key] for key in _KEPT if key in annotation}
        self._spool.write(json.dumps(entry).encode() + b"\n")

    def _number(self, path: str, id: int | str) -> int:
        number = self._numbers.setdefault((path, id), len(self._numbers))
        if number >= _MOST_PICTURES:
            raise Unusable(f"has more than {_MOST_PICTURES:,} pictures")
        return number

    def _shapes(self, places: list[int], width: int, height: int) -> Iterator[Shape | Remark]:
        return each_usable(
            ((entry["where"], entry) for entry in map(self._entry, places)),
            lambda where, entry: _shape(where, entry, width, height),
        )

    def _entry(self, place: int) -> dict[str, Any]:
        """Return an annotation, with the name of its category as `label`, if that is listed."""
        self._spool.seek(self._places[place])
        entry: dict[str, Any] = json.loads(self._spool.readline())
        category = entry.get("category_id")
        if isinstance(category, int | str):
            entry["label"] = self._names[self._origins[place]].get(category)
        return entry


def _shape(where: str, entry: Mapping[str, Any], width: int, height: int) -> Shape:
    """Return an annotation's object; raises Unusable."""
    if (label := entry.get("label")) is None:
        raise Unusable(f"is of category {str(entry.get('category_id'))[:40]}, which is not listed")
    # CVAT and datumaro call each mask of run lengths a crowd; they write attributes, others don't.
    if entry.get("iscrowd") and "attributes" not in entry:
        raise Unusable("is a crowd: several objects at once")
    verified = is_true_in(entry, "attributes", "verified")
    shape = Shape(where, label, score=score_of(entry), verified=verified)
    if entry.get("bbox"):
        x, y, w, h = numbers_of(entry["bbox"], 4)
        shape = replace(shape, box=(x, y, x + w, y + h))
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        return replace(shape, mask=_mask(segmentation, width, height))
    if isinstance(segmentation, list) and segmentation:
        flat = [segmentation] if isinstance(segmentation[0], int | float) else segmentation
        return replace(shape, rings=[ring_of(_pairs(one)) for one in flat])
    return shape


def _mask(rle: dict[str, Any], width: int, height: int) -> Mask:
    if rle.get("size") != [height, width]:
        raise Unusable(f"has a mask that is not of the picture's size, {width}x{height}")
    try:
        return Mask.from_rle(rle)
    except ValueError:
        raise Unusable("has a mask that is damaged") from None


def _pairs(flat: object) -> list[object]:
    if not isinstance(flat, list) or len(flat) % 2:
        raise Unusable("has an outline that is no list of x and y")
    return [flat[i : i + 2] for i in range(0, len(flat), 2)]
