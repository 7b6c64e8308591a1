"""YOLO's text files as Ultralytics, Darknet, Roboflow and others lay them out: one file a picture.

Source: https://docs.ultralytics.com/datasets/detect/ and /segment/; ultralytics/data/utils.py.

A line is an object: its class and numbers that are shares of the picture's sides. Four are a box, six and
more the corners of an outline; one more than that is a score. Classes are named by ``names`` in a YAML file,
or by ``classes.txt`` or ``obj.names``; without them they are called by their numbers. A picture's labels have
its name, and lie beside it or in ``labels`` where it lies in ``images``.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from flask_detector.datasets import yaml_reader
from flask_detector.datasets.files import Files
from flask_detector.datasets.reader import SPLITS, Labels, PerPictureReader, each_usable, split_of
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape, numbers_of, ring_of
from flask_detector.imaging.limits import Limits
from flask_detector.structures.splits import Split

_LARGEST_FILE: Final = 16_000_000
_LINE: Final = re.compile(r"^[ \t]*\d+([ \t]+[-+.\deE]+){4,}[ \t]*\r?$", re.MULTILINE)
_NAMES: Final = {"classes.txt", "obj.names", "_darknet.labels"}


def is_labels(path: str, head: str) -> bool:
    """Return whether a text file has the line of an object, or says that a picture has none."""
    return _LINE.search(head) is not None or (not head.strip() and "/labels/" in f"/{path}")


class YoloReader(PerPictureReader):
    """Reads the text files of a data set."""

    title = "YOLO"

    def __init__(self, files: Files, paths: list[str], remarks: Remarks, limits: Limits) -> None:
        super().__init__(files, paths, remarks, limits)
        self._splits: dict[str, Split] = {}
        self._folders: dict[str, Split] = {}
        self._has_keypoints = False
        for path in files.paths:
            try:
                self._take(path)
            except Unusable as error:
                remarks.left_out(path, str(error))
        remarks.doubled(self.classes)

    def labels_in(self, path: str) -> Labels:
        """Return what a file says of the picture beside it, or in ``images`` where it lies in ``labels``."""
        # The last folder called so, as in Ultralytics' img2label_paths.
        images = re.sub(r"(^|/)labels/(?!.*/labels/)", r"\1images/", path)
        picture = next(filter(None, map(self.files.find_stem, (path[:-4], images[:-4]))), None)
        return Labels(path, f"{PurePosixPath(path).stem}.*", picture, None, partial(self._shapes, path))

    def _take(self, path: str) -> None:
        """Take in what a file says of classes and splits."""
        name = PurePosixPath(path).name.lower()
        if name.endswith((".yaml", ".yml")):
            self._take_yaml(path)
        elif name in _NAMES:
            lines = _text(self.files.read(path, yaml_reader.LARGEST_FILE)).splitlines()
            self.classes = self.classes or [line.strip() for line in lines if line.strip()]
        elif name.endswith(".txt") and (split := SPLITS.get(name[:-4])):
            for line in _text(self.files.read(path, _LARGEST_FILE)).splitlines():
                if line.strip() and (found := self.files.find(line.strip(), near=path)) is not None:
                    self._splits.setdefault(found, split)

    def _take_yaml(self, path: str) -> None:
        content = yaml_reader.value_of(self.files.read(path, yaml_reader.LARGEST_FILE))
        if not isinstance(content, dict) or "names" not in content:
            return
        names = content["names"]
        if isinstance(names, list):
            names = dict(enumerate(names))
        if not isinstance(names, dict) or not all(
            isinstance(key, int) and 0 <= key < 10_000 for key in names
        ):
            raise Unusable("has names that are neither a list nor numbered from 0 on")
        last = max(names, default=-1)
        self.classes = [str(names.get(number, number)).strip() for number in range(last + 1)]
        self._has_keypoints = "kpt_shape" in content
        for key, split in SPLITS.items():
            places = content.get(key)
            for place in places if isinstance(places, list) else [places]:
                if isinstance(place, str) and not place.endswith(".txt"):
                    self._folders.setdefault(PurePosixPath(place).as_posix().strip("./"), split)

    def split_of(self, path: str) -> Split | None:
        """Return the part that a list of pictures, the YAML file or a folder puts a picture in."""
        if path in self._splits:
            return self._splits[path]
        found = {split for folder, split in self._folders.items() if f"/{folder}/" in f"/{path}"}
        # One folder may stand for all parts, as in our own exports.
        return found.pop() if len(found) == 1 else split_of(path)

    def _shapes(self, path: str, width: int, height: int) -> Iterator[Shape | Remark]:
        lines = enumerate(_text(self.files.read(path, _LARGEST_FILE)).splitlines(), 1)
        words = ((f"{path}, line {number}", line.split()) for number, line in lines if line.strip())
        return each_usable(words, lambda where, entry: self._shape(where, entry, width, height))

    def _shape(self, where: str, words: list[str], width: int, height: int) -> Shape:
        label = self._label(words[0])
        if self._has_keypoints:
            words = words[:5]
        values = numbers_of(words[1:], len(words) - 1)
        has_score = len(values) == 5 or (len(values) > 6 and len(values) % 2 == 1)
        score = values.pop() if has_score else None
        if len(values) == 4:
            x, y, w, h = np.multiply(values, (width, height) * 2).tolist()
            note = "has key points, which are not kept" if self._has_keypoints else None
            box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            return Shape(where, label, box, score=score, note=note)
        if len(values) < 6:
            raise Unusable("has neither the four numbers of a box nor the corners of an outline")
        ring = ring_of(np.reshape(values, (-1, 2)) * (width, height))
        return Shape(where, label, rings=[ring], score=score)

    def _label(self, word: str) -> str:
        if not (word.isascii() and word.isdigit() and len(word) < 6):
            raise Unusable("does not begin with the number of a class")
        number = int(word)
        if not self.classes:
            return word
        if number >= len(self.classes):
            raise Unusable(f"is of class {number}, and {len(self.classes)} have a name")
        return self.classes[number]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable("is not text in UTF-8") from None
