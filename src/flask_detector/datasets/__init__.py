"""Data sets of other programs, read: `open_dataset` recognises the format by what is in the files.

It is pure: it takes a folder or a ZIP and yields pictures with their objects. A new format is one file and
one row of `READERS`.
"""

from itertools import chain
from pathlib import Path
from typing import Final

from flask_detector.datasets.coco import CocoReader
from flask_detector.datasets.cvat import CvatReader
from flask_detector.datasets.dataset import Dataset, ImportedPicture
from flask_detector.datasets.files import Files
from flask_detector.datasets.label_studio import LabelStudioReader
from flask_detector.datasets.labelme import LabelMeReader
from flask_detector.datasets.reader import Reader
from flask_detector.datasets.recognise import SUFFIXES, formats_of
from flask_detector.datasets.remarks import Remark, Remarks
from flask_detector.datasets.voc import VocReader
from flask_detector.datasets.yolo import YoloReader
from flask_detector.errors import UnknownDataset
from flask_detector.imaging.limits import Limits

__all__ = ["READERS", "Dataset", "ImportedPicture", "Remark", "open_dataset"]

READERS: Final[dict[str, type[Reader]]] = {
    "coco": CocoReader,
    "cvat": CvatReader,
    "label-studio": LabelStudioReader,
    "labelme": LabelMeReader,
    "voc": VocReader,
    "yolo": YoloReader,
}


def open_dataset(path: Path, *, limits: Limits) -> Dataset:
    """Return the data set that a folder or a ZIP holds.

    Of two formats in one data set the one with labels for more pictures is read; the other's files are left
    out.

    limits: of a picture.

    It is a context manager, and iterated once. Raises UnknownDataset, DatasetTooLarge or DatasetError.
    """
    remarks = Remarks()
    files = Files(path, remarks)
    try:
        return Dataset(_reader(path, files, remarks, limits), files, remarks, limits)
    except BaseException:
        files.close()
        raise


def _reader(path: Path, files: Files, remarks: Remarks, limits: Limits) -> Reader:
    """Return the reader of the data set's format; says which others are left out."""
    found = formats_of(files)
    if not found:
        raise UnknownDataset(f"{path.name} holds no labels of a format that is read here.")

    def reader(name: str, remarks: Remarks) -> Reader:
        return READERS[name](files, found[name], remarks, limits)

    def labelled(name: str) -> int:
        return sum(labels.path is not None for labels in reader(name, Remarks()).labels())

    best = max(found, key=labelled) if len(found) > 1 else next(iter(found))
    for other in (name for name in found if name != best):
        reason = f"is {READERS[other].title}; {READERS[best].title} has labels for more pictures"
        for label_file in found[other]:
            remarks.left_out(label_file, reason)
    known = set(chain.from_iterable(found.values()))
    for unknown in files.ending(*SUFFIXES):
        if unknown not in known and files.find_stem(unknown[: unknown.rindex(".")]) is not None:
            remarks.left_out(
                unknown, "has the name of a picture, but no labels of a format that is read here"
            )
    return reader(best, remarks)
