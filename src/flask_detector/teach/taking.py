"""Taking a data set's pictures as they are when teaching begins, and what the base model finds in them.

What changes in the data set later changes nothing for a run that has begun, also after a stop.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Final

import numpy as np

from flask_detector.datasets import ImportedPicture
from flask_detector.detectors.base import StageClock
from flask_detector.detectors.pair import Teachable
from flask_detector.errors import BadParameter, BadTrainingData, PictureError
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Pixels
from flask_detector.structures.boxes import Floats, iou
from flask_detector.teach.bases import Base
from flask_detector.teach.examples import SAME_OBJECT_IOU, Example, Found, TrainingData, boxes_of
from flask_detector.teach.lesson import Data

# A taught class stands for a class of the base that so many of its objects are taken for.
_REPLACED_SHARE: Final = 0.3
_LEAST_SCORE: Final = 0.05


def take(
    dataset: Data,
    folder: Path,
    base: Base,
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
        In a picture that a person has verified as a whole, everything is marked.
    on_picture: called with the number of pictures that are done.

    Raises BadTrainingData where they teach nothing, BadParameter for a class that they don't have, and
    OSError where the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    detector = base.detector()
    examples, marked, is_whole, remarks = [], [], [], []
    version = hashlib.sha256()
    for number, picture in enumerate(dataset):
        try:
            examples.append(_example(picture, folder / f"{number:05}.npy", detector, limits))
        except PictureError as error:
            remarks.append(f"{picture.path} is left out: {error.message}")
            continue
        marked.append([one.label for one in picture.annotations.objects])
        is_whole.append(picture.annotations.verified)
        version.update(hashlib.sha256(picture.data).digest())
        version.update(repr((picture.path, examples[-1].boxes.tolist(), marked[-1])).encode())
        on_picture(number + 1)
    remarks += [f"{one.where} {one.reason.removesuffix('.')}: left out." for one in dataset.left_out]
    remarks += [f"{one.where} {one.reason.removesuffix('.')}." for one in dataset.changed]
    names, same = _classes(marked, classes)
    remarks += [
        f"'{one}' and '{other}' are taught as one class." for one, other in same.items() if one != other
    ]
    examples = [
        _of_classes(example, labels, names, same) for example, labels in zip(examples, marked, strict=True)
    ]
    replaces = _replaced(examples, names, base.min_score)
    data = TrainingData(
        names, tuple(examples), replaces, version.hexdigest()[:12], tuple(remarks), base.min_score
    )
    if is_partly_marked:
        with_uncertain = (
            one if whole else _with_uncertain(one, unmarked(one, data))
            for one, whole in zip(examples, is_whole, strict=True)
        )
        data = replace(data, examples=tuple(with_uncertain))
    data.save(folder)
    return data


def _example(picture: ImportedPicture, file: Path, base: Teachable, limits: Limits) -> Example:
    """Return an example with the boxes of all objects, their class ids yet unknown."""
    stored, info = decode.load(picture.data, limits, max_side=base.max_side)
    pixels = base.prepare(Pixels.of(stored))
    content = io.BytesIO()  # numpy doesn't say of a disk that it is full
    np.save(content, pixels)
    file.write_bytes(content.getvalue())
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
        boxes_of([one.box for one in objects]),
        np.zeros(len(objects), np.int64),
        np.ones(len(objects), bool),
        Found.of(found),
        picture.split,
        (grey[:, 1:] > grey[:, :-1]).ravel(),
        tuple(one.mask for one in objects) if base.has_masks else (),
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
        masks=tuple(compress(example.masks, kept)),
    )


def _replaced(examples: Iterable[Example], names: Sequence[str], min_score: float) -> dict[str, list[str]]:
    """Return by taught class which classes of the base its objects are taken for, or that are called so."""
    objects = Counter[int]()
    taken = Counter[tuple[int, str]]()
    labels = set()
    for example in examples:
        objects.update(example.class_ids.tolist())
        sure = [n for n, score in enumerate(example.found.scores) if score >= min_score]
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


def unmarked(example: Example, data: TrainingData) -> list[tuple[Floats, int]]:
    """Return what may be objects of the taught classes that nobody has marked: boxes (4,) and class ids.

    There the base model is sure of a class that the taught one stands for.
    """
    found = example.found
    is_marked = (iou(found.boxes, example.boxes) >= SAME_OBJECT_IOU).any(axis=1)
    return [
        (found.boxes[n], class_id)
        for n in np.flatnonzero(~is_marked & (found.scores >= data.min_score))
        for class_id, name in enumerate(data.classes)
        if found.labels[n] in data.replaces[name]
    ]


def _with_uncertain(example: Example, added: Sequence[tuple[Floats, int]]) -> Example:
    """Return the example with further objects that may be there or not."""
    return replace(
        example,
        boxes=boxes_of([*example.boxes, *(box for box, _ in added)]),
        class_ids=np.array([*example.class_ids, *(class_id for _, class_id in added)], np.int64),
        is_certain=np.array([*example.is_certain, *(False for _ in added)], bool),
        masks=(*example.masks, *(None for _ in added)) if example.masks else (),
    )
