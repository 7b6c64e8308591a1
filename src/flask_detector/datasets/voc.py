"""Pascal VOC's XML, one file a picture.

Source: PASCAL VOC2012 Development Kit, 2012, section 3.

Boxes are counted from 1, their last column and row are inside. A picture in ``SegmentationObject`` with the
name of the label file has the masks, where there is one: the pixels of its first object have the value 1.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Final
from xml.etree.ElementTree import Element

from flask_detector.datasets import bitmaps, xml_reader
from flask_detector.datasets.files import Files
from flask_detector.datasets.reader import Labels, PerPictureReader, Split, each_usable
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape, label_of, numbers_of, size_of
from flask_detector.imaging.limits import Limits
from flask_detector.structures.masks import Mask

_LARGEST_FILE: Final = 16_000_000
_OBJECTS, _CLASSES = "segmentationobject", "segmentationclass"
_SPLITS: Final[dict[str, Split]] = {"train": "train", "val": "val", "test": "test"}


class VocReader(PerPictureReader):
    """Reads the XML files of a data set."""

    title = "Pascal VOC"

    def __init__(self, files: Files, paths: list[str], remarks: Remarks, limits: Limits) -> None:
        super().__init__(files, paths, remarks, limits)
        self._splits: dict[str, Split] = {}
        self._masks: dict[str, str] = {}  # by the stem of their picture
        for path in files.pictures:
            folder = PurePosixPath(path).parent.name.lower()
            if folder in {_OBJECTS, _CLASSES}:
                self.not_pictures.add(path)
            if folder == _OBJECTS:
                self._masks[PurePosixPath(path).stem] = path
        for path in files.ending(".txt"):
            try:
                self._take(path)
            except Unusable as error:
                remarks.left_out(path, str(error))

    def _take(self, path: str) -> None:
        """Take in a list of pictures (``ImageSets/Main/val.txt``), or of classes (``labelmap.txt``)."""
        name, folders = PurePosixPath(path).name.lower(), path.lower().split("/")
        if name == "labelmap.txt":
            labels = (line.partition(":")[0].strip() for line in self._lines(path))
            self.classes = [label for label in labels if label and not label.startswith("#")]
        elif "imagesets" in folders and (split := _SPLITS.get(name.removesuffix(".txt"))):
            for line in self._lines(path):
                self._splits.setdefault(line.strip(), split)

    def _lines(self, path: str) -> list[str]:
        try:
            return self.files.read(path, _LARGEST_FILE).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise Unusable("is not text in UTF-8") from None

    def labels_in(self, path: str) -> Labels:
        """Return what a file says of its picture."""
        name, size, objects = "", None, []
        with self.files.open(path, _LARGEST_FILE) as file:
            for child in xml_reader.children(file):
                if child.tag == "filename":
                    name = (child.text or "").strip()
                elif child.tag == "size":
                    size = size_of(child.findtext("width"), child.findtext("height"))
                elif child.tag == "object":
                    objects.append(child)
        stem = PurePosixPath(path).stem
        # Where a file was copied its name is that of the picture beside it, whatever it says.
        stems = (path.replace("Annotations/", "JPEGImages/")[:-4], path[:-4])
        found = [self.files.find(name, near=path) if name else None, *map(self.files.find_stem, stems)]
        shapes = partial(self._shapes, path, objects)
        picture = next(filter(None, found), None)
        return Labels(path, name or f"{stem}.*", picture, size, shapes, self._splits.get(stem))

    def _shapes(self, path: str, objects: list[Element], width: int, height: int) -> Iterator[Shape | Remark]:
        masks = self._masks_of(path, (width, height))
        entries = ((f"{path}, line {one.get('line')}", (n, one)) for n, one in enumerate(objects, 1))
        return each_usable(entries, lambda where, entry: _shape(where, entry[1], masks.get(entry[0])))

    def _masks_of(self, path: str, size: tuple[int, int]) -> dict[int, Mask]:
        """Return the masks of a picture's objects by their number."""
        if (masks := self._masks.get(PurePosixPath(path).stem)) is None:
            return {}
        try:
            data = self.files.read(masks, self.limits.max_bytes)
            values = bitmaps.values_of(data, self.limits, size=size)
        except Unusable as error:
            self.remarks.left_out(masks, str(error))
            return {}
        numbers = [n for n in set(values.ravel().tolist()) if 0 < n < 255]  # 255 is the line between objects
        return {number: Mask.from_bitmap(values == number).cropped() for number in numbers}


def _shape(where: str, entry: Element, mask: Mask | None) -> Shape:
    """Return an object; raises Unusable."""
    label = label_of((entry.findtext("name") or "").strip())
    if (box := entry.find("bndbox")) is None:
        raise Unusable("has no bndbox")
    x1, y1, x2, y2 = numbers_of([box.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")], 4)
    try:
        score = float(entry.findtext("score", ""))
    except ValueError:
        score = -1
    return Shape(where, label, (x1 - 1, y1 - 1, x2, y2), mask=mask, score=score if 0 <= score <= 1 else None)
