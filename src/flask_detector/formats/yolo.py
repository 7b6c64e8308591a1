"""YOLO's text files as Ultralytics reads them, for detection and for segmentation.

Source: https://docs.ultralytics.com/datasets/detect/ and /datasets/segment/.

One line an instance: the class and numbers that are shares of the picture's width and height, 0 to 1.
Detection has the box, "class x-centre y-centre width height"; segmentation has one polygon, "class x1 y1 x2
y2 …". Classes are numbered from 0 in the order of ``data.yaml``. Scores have no place in these files.

An object is one polygon here: its parts and holes are joined by bridges and cuts of no width, as Ultralytics'
own converter does it. What a model for boxes found is the polygon of its box, since a file must not mix boxes
and polygons. An instance whose mask is empty is left out.
"""

import json
import re
from collections.abc import Callable, Iterable

from flask_detector.formats.categories import Categories
from flask_detector.formats.dataset_zip import Dataset, stem_of
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.polygons import as_one_ring, parts_of

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class YoloDataset(Dataset):
    """``images/``, ``labels/``, each with a folder for each part if there are parts, and ``data.yaml``.

    shape: gives an instance's numbers, `box` or `polygon`.
    """

    pictures: str | None = "images/"

    def __init__(self, shape: Callable[[Instance], list[float] | None]) -> None:
        self._shape = shape
        self._categories = Categories()
        self._splits: set[str] = set()

    def folder(self, split: str | None) -> str:
        """Return the folder for the pictures of a part."""
        return f"images/{split}/" if split else "images/"

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Return the picture's labels; the file is empty where nothing was found."""
        self._categories.add(found.labels)
        sides = (found.width, found.height)
        lines = []
        for one in found:
            shape = self._shape(one)
            if shape is None:
                continue
            shares = [value / sides[i % 2] for i, value in enumerate(shape)]
            numbers = " ".join(f"{min(max(share, 0.0), 1.0):.6f}" for share in shares)
            lines.append(f"{self._categories.number(one.label)} {numbers}\n")
        if split:
            self._splits.add(split)
        folder = f"labels/{split}" if split else "labels"
        return [(f"{folder}/{stem_of(name)}.txt", "".join(lines).encode())]

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the names of the classes, and where the parts are.

        Ultralytics wants both training and validation: one that there is stands for one that there is not.
        Without a ``path`` Ultralytics looks beside this file; a relative one counts from where it runs.
        """
        names = [f"  {i}: {_quoted(label)}\n" for i, label in enumerate(self._categories.labels)]
        places = {split: self.folder(split).rstrip("/") for split in sorted(self._splits)}
        first = next(iter(places.values()), "images")
        parts = {"train": first, "val": first, **places}
        lines = [f"{split}: {place}\n" for split, place in parts.items()]
        text = "".join([*lines, "names:", "\n" if names else " {}\n", *names])
        return [("data.yaml", [text.encode()])]


def box(one: Instance) -> list[float]:
    """Return the middle and the sides of an instance's box, in pixels."""
    x1, y1, x2, y2 = one.box
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def polygon(one: Instance) -> list[float] | None:
    """Return the corners of an instance's polygon, in pixels; None where its mask is empty."""
    if one.mask is None:
        x1, y1, x2, y2 = one.box
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    points: list[float] = as_one_ring(parts_of(one.mask)).astype(float).ravel().tolist()
    return points or None


def _quoted(text: str) -> str:
    """Return YAML's double-quoted form of a text, which is JSON's but for what YAML can't print."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
