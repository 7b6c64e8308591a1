"""A data set as its pictures with their objects, whatever the format of its files."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from flask_detector.datasets import turning
from flask_detector.datasets.files import Files
from flask_detector.datasets.objects import Objects
from flask_detector.datasets.reader import Labels, Reader
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape
from flask_detector.errors import PictureError
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.open_picture import opened
from flask_detector.imaging.pixels import orientation_of, upright_size
from flask_detector.structures.annotations import MOST_LABELS, Annotations
from flask_detector.structures.labels import problem_of
from flask_detector.structures.splits import Split


@dataclass(frozen=True, eq=False)
class ImportedPicture:
    """A picture with its objects.

    name: its file name. data: the file as it is. path: where it is within the data set.
    """

    name: str
    path: str
    data: bytes
    annotations: Annotations
    split: Split | None


class Dataset:
    """The pictures of a data set, to be iterated once and closed: a context manager.

    format: what people call it, such as "COCO".
    total: the number of its picture files; 0 where its label files have the pictures themselves.
    seen: how many of them were yielded or left out so far.
    """

    def __init__(self, reader: Reader, files: Files, remarks: Remarks, limits: Limits) -> None:
        self.format = reader.title
        self._reader, self._files, self._remarks, self._limits = reader, files, remarks, limits
        self.total, self.seen = len(files.pictures), 0
        self._labels: dict[str, None] = {}
        self._declared = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; complete after iteration, the declared ones first."""
        return tuple(self._labels)

    @property
    def left_out(self) -> list[Remark]:
        """What was not imported and why; complete after iteration."""
        return self._remarks.all("left out")

    @property
    def changed(self) -> list[Remark]:
        """What was imported, but not as it was; complete after iteration."""
        return self._remarks.all("changed")

    def __iter__(self) -> Iterator[ImportedPicture]:
        """Yield each picture with its objects; then those that no label file is about, without any."""
        taken: set[str] = set()
        for labels in self._reader.labels():
            if labels.path in taken:
                self._remarks.left_out(labels.where, f"is for {labels.path}, which has labels already")
                continue
            if labels.path is not None:
                taken.add(labels.path)
                self.seen += 1
            if (picture := self._picture(labels)) is not None:
                yield picture
        for path in self._files.pictures:
            if path not in taken and path not in self._reader.not_pictures:
                self.seen += 1
                unlabelled = Labels(path, path, path, None, lambda _w, _h: ())
                if (picture := self._picture(unlabelled)) is not None:
                    yield picture

    def _picture(self, labels: Labels) -> ImportedPicture | None:
        """Return a picture with its objects; None where it can't be used, which is remarked."""
        declared = self._reader.classes[self._declared :]
        self._declared += len(declared)
        self._take_in(declared)
        try:
            data = self._data(labels)
            width, height, orientation = self._size(data)
        except (Unusable, PictureError) as error:
            reason = str(error) if isinstance(error, Unusable) else f"can't be used: {error.message}"
            self._remarks.left_out(labels.path or labels.where, reason)
            return None
        said = labels.size or (width, height)
        turned = said != (width, height)
        if turned and (said != (height, width) or orientation not in turning.ON_ITS_SIDE):
            reason = f"is for {said[0]}x{said[1]} pixels, but the picture is {width}x{height}"
            self._remarks.left_out(labels.where, reason)
            return None
        objects = Objects(width, height, self._remarks)
        shapes = self._shapes(labels, said)
        objects.add(turning.upright(shape, said, orientation) if turned else shape for shape in shapes)
        self._take_in(one.label for one in objects.kept)
        kept = tuple(one for one in objects.kept if one.label in self._labels)
        if len(kept) < len(objects.kept):
            self._remarks.left_out(labels.where, f"has objects of classes beyond the first {MOST_LABELS:,}")
        path = labels.path or labels.where
        return ImportedPicture(
            PurePosixPath(labels.path or labels.name.replace("\\", "/")).name,
            path,
            data,
            Annotations(width, height, kept, self.classes),
            labels.split or self._reader.split_of(path),
        )

    def _shapes(self, labels: Labels, size: tuple[int, int]) -> Iterator[Shape]:
        """Yield what may be an object; what is none, and where the file can't be read on, is remarked."""
        try:
            for shape in labels.shapes(*size):
                if isinstance(shape, Shape):
                    yield shape
                else:
                    self._remarks.left_out(shape.where, shape.reason)
        except Unusable as error:
            self._remarks.left_out(labels.where, str(error))

    def _take_in(self, labels: Iterable[str]) -> None:
        """Add classes to those so far."""
        for label in labels:
            if label not in self._labels and not problem_of(label) and len(self._labels) < MOST_LABELS:
                self._labels[label] = None

    def _data(self, labels: Labels) -> bytes:
        if labels.path is not None:
            return self._files.read(labels.path, self._limits.max_bytes)
        if (data := labels.embedded()) is None:
            raise Unusable(f"is for {labels.name or 'a picture without a name'}, which is not there")
        return data

    def _size(self, data: bytes) -> tuple[int, int, int]:
        """Return the upright width and height of a picture, and its orientation; no pixel is decoded."""
        with opened(io.BytesIO(data), self._limits) as (image, _):
            return *upright_size(image), orientation_of(image)
