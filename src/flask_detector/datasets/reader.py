"""What all readers share: where a data set's labels are found, and which part of it a picture is in."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask_detector.datasets.files import Files
from flask_detector.datasets.remarks import Remark, Remarks, Unusable
from flask_detector.datasets.shapes import Shape
from flask_detector.imaging.limits import Limits
from flask_detector.structures.splits import Split

SPLITS: Final[dict[str, Split]] = {
    **dict.fromkeys(("train", "training", "train2014", "train2017"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "val2014", "val2017"), "val"),
    **dict.fromkeys(("test", "testing", "test2017"), "test"),
}
"""What people call the parts of a data set, in lower case."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What a data set says of one picture.

    where: the label file, with the entry in it.
    name: what that calls the picture. path: where it is; None where it is not there.
    size: width and height that the labels are for; None where the file does not say.
    shapes: makes the objects of a picture of that size; a Remark is an object that can't be kept.
    embedded: makes the picture, where the label file has it itself.
    """

    where: str
    name: str
    path: str | None
    size: tuple[int, int] | None
    shapes: Callable[[int, int], Iterable[Shape | Remark]]
    split: Split | None = None
    embedded: Callable[[], bytes | None] = lambda: None


class Reader(ABC):
    """Reads one format.

    title: what people call it.
    paths: of its label files.
    classes: that the data set declares, as far as its files have been read; it only grows.
    not_pictures: files that look like pictures but belong to the labels.
    """

    title: ClassVar[str]

    def __init__(self, files: Files, paths: list[str], remarks: Remarks, limits: Limits) -> None:
        self.files, self.paths, self.remarks, self.limits = files, paths, remarks, limits
        self.classes: list[str] = []
        self.not_pictures: set[str] = set()

    @abstractmethod
    def labels(self) -> Iterator[Labels]:
        """Yield what there is about each picture, from the start whenever it is called."""

    def split_of(self, path: str) -> Split | None:
        """Return which part of the data set a picture is in."""
        return split_of(path)


class PerPictureReader(Reader):
    """Reads a format that has a file for each picture."""

    def labels(self) -> Iterator[Labels]:
        """Yield the pictures whose file can be read."""
        for path in self.paths:
            try:
                yield self.labels_in(path)
            except Unusable as error:
                self.remarks.left_out(path, str(error))

    @abstractmethod
    def labels_in(self, path: str) -> Labels:
        """Return what a file says of its picture; raises Unusable."""


def each_usable(
    entries: Iterable[tuple[str, Any]], shape_of: Callable[[str, Any], Shape]
) -> Iterator[Shape | Remark]:
    """Yield the object of each entry, or why it is none: `shape_of` raises Unusable.

    entries: where each is, and what it says.
    """
    for where, entry in entries:
        try:
            yield shape_of(where, entry)
        except Unusable as error:
            yield Remark(where, str(error))


def split_of(path: str, *, of_labels: bool = False) -> Split | None:
    """Return which part of the data set a file is in, by the folders that it lies in.

    of_labels: it has labels of several pictures, and its name may say it, as in ``instances_val2017.json``.
    """
    *folders, name = path.lower().split("/")
    words = re.split(r"[^a-z0-9]+", name) if of_labels else []
    return next((SPLITS[word] for word in [*words, *reversed(folders)] if word in SPLITS), None)


def folders_of(split: Split | None) -> list[str]:
    """Return what the folder of a part may be called."""
    return [folder for folder, name in SPLITS.items() if name == split]
