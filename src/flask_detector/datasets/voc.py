"""Pascal VOC's XML, one file a picture.

Source: PASCAL VOC2012 Development Kit, 2012, section 3.

Boxes are counted from 1, their last column and row are inside. An object may have an outline, ``polygon``
with x and y of its corners counted from 0, as Roboflow and X-AnyLabeling write it. A picture in
``SegmentationObject`` with the name of the label file has the masks, where there is one: each value is an
object. That they are numbered as the boxes are is not true of all writers, so a mask is that of the box that
fits it best.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from flask_detector.datasets import bitmaps, xml_reader
from flask_detector.datasets.files import Files
from flask_detector.datasets.reader import SPLITS, Labels, PerPictureReader, each_usable
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape, label_of, numbers_of, ring_of, size_of
from flask_detector.imaging.limits import Limits
from flask_detector.structures.boxes import iou
from flask_detector.structures.masks import Mask
from flask_detector.structures.splits import Split

_LARGEST_FILE: Final = 16_000_000
_OBJECTS, _CLASSES = "segmentationobject", "segmentationclass"
_BORDER: Final = 255  # the line between objects
_LEAST_OVERLAP: Final = 0.3  # that line takes much of a small object


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
            labels = (line.rsplit(":", 3)[0].strip() for line in self._lines(path))
            self.classes = [one for one in labels if one not in {"", "background"} and one[0] != "#"]
        elif "imagesets" in folders and (split := SPLITS.get(name.removesuffix(".txt"))):
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

    def _shapes(self, path: str, objects: list[Element], width: int, height: int) -> Iterable[Shape | Remark]:
        found = list(each_usable(((f"{path}, line {one.get('line')}", one) for one in objects), _shape))
        if (file := self._masks.get(PurePosixPath(path).stem)) is None:
            return found
        try:
            data = self.files.read(file, self.limits.max_bytes)
            values = bitmaps.values_of(data, self.limits, size=(width, height))
        except Unusable as error:
            return [*found, Remark(file, str(error))]
        return _with_masks(found, values, file)


def _with_masks(
    found: Sequence[Shape | Remark], values: npt.NDArray[np.integer], file: str
) -> Iterator[Shape | Remark]:
    """Yield each object with the mask whose bounds overlap most with its box, if any do."""
    numbers = [number for number in np.unique(values).tolist() if 0 < number < _BORDER]
    masks = [Mask.from_bitmap(values == number).cropped() for number in numbers]
    shapes = {i: shape for i, shape in enumerate(found) if isinstance(shape, Shape)}
    bounds = np.array([(m.x, m.y, m.x + m.width, m.y + m.height) for m in masks], np.float32).reshape(-1, 4)
    boxes = np.array([shape.box for shape in shapes.values()], np.float32).reshape(-1, 4)
    overlaps, order, left = iou(bounds, boxes), list(shapes), set(range(len(masks)))
    while overlaps.size and overlaps.max() > _LEAST_OVERLAP:
        mask, box = (int(place) for place in np.unravel_index(overlaps.argmax(), overlaps.shape))
        shapes[order[box]] = replace(shapes[order[box]], mask=masks[mask])
        overlaps[mask], overlaps[:, box] = 0, 0
        left.remove(mask)
    yield from (shapes.get(i, one) for i, one in enumerate(found))
    for number in (numbers[mask] for mask in sorted(left)):
        yield Remark(f"{file}, object {number}", "has a mask that fits no box")


def _shape(where: str, entry: Element) -> Shape:
    """Return an object; raises Unusable."""
    label = label_of((entry.findtext("name") or "").strip())
    if (bounds := entry.find("bndbox")) is None:
        raise Unusable("has no bndbox")
    x1, y1, x2, y2 = numbers_of([bounds.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")], 4)
    rings = []
    if (polygon := entry.find("polygon")) is not None:
        texts = [one.text for one in polygon.iter() if len(one) == 0]
        numbers = numbers_of(texts, len(texts))
        rings = [ring_of(list(zip(numbers[::2], numbers[1::2], strict=False)))]
    try:
        score = float(entry.findtext("score", ""))
    except ValueError:
        score = -1
    box = (x1 - 1, y1 - 1, x2, y2)
    return Shape(where, label, box, rings, score=score if 0 <= score <= 1 else None)
