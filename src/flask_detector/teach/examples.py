"""The pictures to learn from, taken out of a data set as they are when teaching begins.

What changes in the data set later changes nothing for a run that has begun, also after a stop.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from flask_detector.atomic_files import write_whole
from flask_detector.datasets import Dataset, ImportedPicture
from flask_detector.detectors.base import StageClock
from flask_detector.detectors.nanodet.detector import NanoDet, prepare
from flask_detector.errors import BadParameter, BadTrainingData, PictureError
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats, Ints, iou

# From this IoU on the base model and a person mean the same object.
SAME_OBJECT_IOU: Final = 0.5

# A taught class stands for a class of the base that so many of its objects are taken for.
_REPLACED_SHARE: Final = 0.3
_LEAST_SCORE: Final = 0.05
_FILE: Final = "examples.json"


@dataclass(frozen=True, eq=False)
class Found:
    """What a model finds in a picture: boxes (N, 4), xyxy, in its pixels, scores (N,) and N labels."""

    boxes: Floats
    scores: Floats
    labels: list[str]


@dataclass(frozen=True, eq=False)
class Example:
    """A picture with its objects of the taught classes.

    file: its pixels as the network sees them.
    width, height: of the picture.
    boxes: (M, 4), xyxy, in its pixels. class_ids: (M,).
    is_certain: (M,) whether that object is there; where not, it may be.
    found: what the base model finds.
    split: "train", "val" or "test" where the data set says it.
    fingerprint: (64,) bools, nearly the same for pictures that look the same.
    """

    name: str
    file: Path
    width: int
    height: int
    boxes: Floats
    class_ids: Ints
    is_certain: npt.NDArray[np.bool_]
    found: Found
    split: str | None
    fingerprint: npt.NDArray[np.bool_]

    def pixels(self) -> Picture:
        """Return the picture (H, W, 3) as the network sees it, read from its file."""
        picture: Picture = np.load(self.file, mmap_mode="r")
        return picture

    def to_json(self) -> dict[str, Any]:
        """Return everything but the pixels as plain containers."""
        found = self.found
        return {
            "name": self.name,
            "file": self.file.name,
            "size": [self.width, self.height],
            "boxes": self.boxes.tolist(),
            "class_ids": self.class_ids.tolist(),
            "is_certain": self.is_certain.tolist(),
            "found": [found.boxes.tolist(), found.scores.tolist(), found.labels],
            "split": self.split,
            "fingerprint": self.fingerprint.tolist(),
        }

    @classmethod
    def from_json(cls, form: dict[str, Any], folder: Path) -> Self:
        """Return the example whose pixels lie in that folder."""
        boxes, scores, labels = form["found"]
        return cls(
            form["name"],
            folder / form["file"],
            form["size"][0],
            form["size"][1],
            _boxes(form["boxes"]),
            np.array(form["class_ids"], np.int64),
            np.array(form["is_certain"], bool),
            Found(_boxes(boxes), np.array(scores, np.float32), labels),
            form["split"],
            np.array(form["fingerprint"], bool),
        )


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All pictures, and what they teach.

    classes: by class id.
    replaces: by taught class, which classes of the base model it stands for.
    version: tells this state of the data set from others.
    remarks: what was not as it should be, for people.
    """

    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    replaces: dict[str, list[str]]
    version: str
    remarks: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write everything but the pixels; `load` returns it."""
        form = {
            "classes": self.classes,
            "examples": [example.to_json() for example in self.examples],
            "replaces": self.replaces,
            "version": self.version,
            "remarks": self.remarks,
        }
        write_whole(folder / _FILE, json.dumps(form).encode())

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return what was saved in a folder, None where nothing was."""
        try:
            form = json.loads((folder / _FILE).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(
            tuple(form["classes"]),
            tuple(Example.from_json(one, folder) for one in form["examples"]),
            form["replaces"],
            form["version"],
            tuple(form["remarks"]),
        )


def take(
    dataset: Dataset,
    folder: Path,
    base: NanoDet,
    limits: Limits,
    *,
    classes: Sequence[str] = (),
    is_partly_marked: bool = False,
    on_picture: Callable[[int], None] = lambda _: None,
) -> TrainingData:
    """Return a data set's pictures; their pixels are written into the folder.

    classes: to teach; empty for all that have objects.
    is_partly_marked: there may be objects of these classes that nobody has marked. Where the base model is
        sure of a class that a taught one stands for, and nothing is marked, the picture then teaches nothing.
    on_picture: called with the number of pictures that are done.

    Raises BadTrainingData where they teach nothing, BadParameter for a class that they don't have, and
    OSError where the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    examples, marked, remarks = [], [], []
    version = hashlib.sha256()
    for number, picture in enumerate(dataset):
        try:
            examples.append(_example(picture, folder / f"{number:05}.npy", base, limits))
        except PictureError as error:
            remarks.append(f"{picture.path} is left out: {error.message}")
            continue
        marked.append([one.label for one in picture.annotations.objects])
        version.update(hashlib.sha256(picture.data).digest())
        version.update(repr((picture.path, examples[-1].boxes.tolist(), marked[-1])).encode())
        on_picture(number + 1)
    remarks += [f"{remark.where} {remark.reason}." for remark in (*dataset.left_out, *dataset.changed)]
    names, same = _classes(marked, classes)
    remarks += [
        f"'{one}' and '{other}' are taught as one class." for one, other in same.items() if one != other
    ]
    examples = [
        _of_classes(example, labels, names, same) for example, labels in zip(examples, marked, strict=True)
    ]
    replaces = _replaced(examples, names)
    if is_partly_marked:
        examples = [_with_uncertain(example, names, replaces, base.default_min_score) for example in examples]
    data = TrainingData(names, tuple(examples), replaces, version.hexdigest()[:12], tuple(remarks))
    data.save(folder)
    return data


def _example(picture: ImportedPicture, file: Path, base: NanoDet, limits: Limits) -> Example:
    """Return an example with the boxes of all objects, their class ids yet unknown."""
    stored, info = decode.load(picture.data, limits, max_side=base.max_side)
    pixels = prepare(Pixels.of(stored))
    np.save(file, pixels)
    found = base.find_in(pixels, info.width, info.height, _LEAST_SCORE, StageClock())
    objects = picture.annotations.objects
    rows, columns = (
        np.linspace(0, side - 1, cells).astype(int) for side, cells in zip(pixels.shape, (8, 9), strict=False)
    )
    grey = pixels.mean(axis=2)[np.ix_(rows, columns)]
    return Example(
        picture.path,
        file,
        info.width,
        info.height,
        _boxes([one.box for one in objects]),
        np.zeros(len(objects), np.int64),
        np.ones(len(objects), bool),
        Found(found.boxes, found.scores, [found.labels[n] for n in found.class_ids]),
        picture.split,
        (grey[:, 1:] > grey[:, :-1]).ravel(),
    )


def _classes(marked: Iterable[list[str]], wanted: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the names of the taught classes, and under which of them each label is taught.

    Labels that differ in capitals alone are one class, called as it is most often.
    """
    counts = Counter(label for labels in marked for label in labels)
    names: dict[str, str] = {}
    for label, _ in counts.most_common():
        names.setdefault(label.casefold(), label)
    for label in wanted:
        if label.casefold() not in names:
            known = ", ".join(sorted(names.values())) or "none"
            raise BadParameter(f"No object is marked as '{label}'.", hint=f"Marked are: {known}.")
    chosen = {label.casefold() for label in wanted} or set(names)
    same = {label: names[label.casefold()] for label in counts if label.casefold() in chosen}
    if not same:
        raise BadTrainingData("No object is marked in these pictures.")
    return tuple(sorted(set(same.values()))), same


def _of_classes(
    example: Example, labels: Sequence[str], names: Sequence[str], same: dict[str, str]
) -> Example:
    kept = np.array([label in same for label in labels], bool)
    ids = [names.index(same[label]) for label in labels if label in same]
    return replace(
        example,
        boxes=example.boxes[kept],
        class_ids=np.array(ids, np.int64),
        is_certain=example.is_certain[kept],
    )


def _replaced(examples: Iterable[Example], names: Sequence[str]) -> dict[str, list[str]]:
    """Return by taught class which classes of the base its objects are taken for, or that are called so."""
    objects = Counter[int]()
    taken = Counter[tuple[int, str]]()
    labels = set()
    for example in examples:
        objects.update(example.class_ids.tolist())
        sure = [n for n, score in enumerate(example.found.scores) if score >= NanoDet.default_min_score]
        overlaps = iou(example.boxes, example.found.boxes[sure])
        labels.update(example.found.labels)
        for class_id, overlap in zip(example.class_ids.tolist(), overlaps, strict=True):
            same = np.flatnonzero(overlap >= SAME_OBJECT_IOU)
            taken.update({(class_id, example.found.labels[sure[n]]) for n in same})
    return {
        name: sorted(
            label
            for label in labels
            if label == name or taken[class_id, label] >= _REPLACED_SHARE * max(1, objects[class_id])
        )
        for class_id, name in enumerate(names)
    }


def _with_uncertain(
    example: Example, names: Sequence[str], replaces: dict[str, list[str]], sure: float
) -> Example:
    """Return the example with what the base model is sure of and nobody has marked as uncertain objects."""
    found = example.found
    is_marked = (iou(found.boxes, example.boxes) >= SAME_OBJECT_IOU).any(axis=1)
    added = [
        (found.boxes[n], class_id)
        for n in np.flatnonzero(~is_marked & (found.scores >= sure))
        for class_id, name in enumerate(names)
        if found.labels[n] in replaces[name]
    ]
    return replace(
        example,
        boxes=_boxes([*example.boxes, *(box for box, _ in added)]),
        class_ids=np.array([*example.class_ids, *(class_id for _, class_id in added)], np.int64),
        is_certain=np.array([*example.is_certain, *(False for _ in added)], bool),
    )


def _boxes(boxes: Any) -> Floats:
    return np.array(boxes, np.float32).reshape(-1, 4)
