"""Which pictures teach and which ones prove what was learned; and what is odd about them."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from flask_detector.errors import BadTrainingData
from flask_detector.structures.boxes import areas, iou
from flask_detector.structures.labels import plural
from flask_detector.teach.examples import Example, TrainingData
from flask_detector.teach.lesson import ENOUGH_TO_HOLD_OUT, FOLDS, HELD_OUT
from flask_detector.teach.taking import unmarked

_FEW: Final = 10
_TIMES: Final = 10
_SAME_BITS: Final = 4
_SMALL_SHARE, _LARGE_SHARE, _NARROW = 0.0003, 0.95, 20
_DOUBLE_IOU: Final = 0.9
_LISTED: Final = 5


class Part(NamedTuple):
    """Pictures to learn from and other ones to prove that."""

    training: list[Example]
    validation: list[Example]


def parts(data: TrainingData) -> list[Part]:
    """Return one part, as the data set says it or with each fifth picture held out; or three of few pictures.

    Raises BadTrainingData where there are too few pictures to learn and to prove.
    """
    training = [one for one in data.examples if one.split not in {"val", "test"}]
    validation = [one for one in data.examples if one.split == "val"]
    validation = validation or [one for one in data.examples if one.split == "test"]
    with_objects = sum(bool(one.is_certain.any()) for one in training)
    if with_objects < (1 if validation else 2):
        raise BadTrainingData(
            f"{with_objects} {plural('picture', with_objects)} with objects: too few to learn and test.",
            hint="Mark objects in at least two pictures; ten of each class are a good beginning.",
        )
    if validation:
        return [Part(training, validation)]
    only = _with_the_only_ones(training)
    training = [one for one in training if one not in only]
    ordered = _by_rarest_class(training)
    steps = [(0, HELD_OUT)] if len(training) >= ENOUGH_TO_HOLD_OUT else []
    folds = min(FOLDS, len(training))
    return [
        Part([*only, *(one for n, one in enumerate(ordered) if n % step != first)], ordered[first::step])
        for first, step in steps or [(fold, folds) for fold in range(folds)]
    ]


def _with_the_only_ones(examples: Sequence[Example]) -> list[Example]:
    """Return the pictures that alone have objects of a class: held out, they would not be learned from.

    At least one picture is left to prove what was learned.
    """
    counts = Counter(class_id for one in examples for class_id in set(one.class_ids.tolist()))
    only = [one for one in examples if any(counts[class_id] == 1 for class_id in one.class_ids.tolist())]
    return only[: len(examples) - 1]


def learned_from(parts: Sequence[Part]) -> list[Example]:
    """Return the pictures that the model itself learns from: of several parts all, once they are proven."""
    return parts[0].training if len(parts) == 1 else [*parts[0].training, *parts[0].validation]


def _by_rarest_class(examples: Sequence[Example]) -> list[Example]:
    """Return the pictures so that each n-th of them has about its share of each class."""
    counts = Counter(class_id for one in examples for class_id in set(one.class_ids.tolist()))

    def key(one: Example) -> tuple[float, str]:
        rarest = min(one.class_ids.tolist(), key=lambda class_id: (counts[class_id], class_id), default=-1)
        return rarest, hashlib.sha256(one.name.encode()).hexdigest()

    return sorted(examples, key=key)


def remarks_on(data: TrainingData, parts: Sequence[Part]) -> list[str]:
    """Return whole sentences on what is likely to make the result worse than it could be."""
    counts = Counter(
        class_id for one in learned_from(parts) for class_id in one.class_ids[one.is_certain].tolist()
    )
    remarks = [
        f"Only {counts[class_id]} {plural('object', counts[class_id])} of {name} to learn from: "
        f"{_FEW} or more are found far better."
        for class_id, name in enumerate(data.classes)
        if counts[class_id] < _FEW
    ]
    proven = {class_id for part in parts for one in part.validation for class_id in one.class_ids.tolist()}
    remarks += [
        f"How well {name} is found can't be measured: no other picture has it."
        for class_id, name in enumerate(data.classes)
        if class_id not in proven
    ]
    if counts and (most := max(counts.values())) >= _TIMES * (least := min(counts.values())):
        names = [data.classes[n] for n in sorted(counts, key=lambda n: -counts[n])]
        remarks.append(f"{names[0]} is marked {most} times, {names[-1]} {least}: mark more of it.")
    masks = [mask for one in data.examples for mask in one.masks]
    if unmasked := masks.count(None):
        remarks.append(
            f"{unmasked} of {len(masks)} objects have only a box, which teaches no mask: outline them, or "
            "let the base do it in the editor."
        )
    remarks += _listed(
        "looks wrong", [f"{one.name}: {what}" for one in data.examples for what in _odd(one, data)]
    )
    remarks += _listed(
        "may be unmarked and is taught as not there, unless you mark it",
        [
            f"{one.name}: {data.classes[class_id]}"
            for one in data.examples
            for _, class_id in unmarked(one, data)
        ],
    )
    if len(parts) == 1:
        remarks += _listed(
            "is nearly the same picture, so that the figures are too good",
            [
                f"{a.name} and {b.name}"
                for a in parts[0].training
                for b in parts[0].validation
                if np.count_nonzero(a.fingerprint != b.fingerprint) <= _SAME_BITS
            ],
        )
    return remarks


def _odd(example: Example, data: TrainingData) -> Iterator[str]:
    """Yield what looks wrong about a picture's boxes."""
    shares = areas(example.boxes) / (example.width * example.height)
    sides = example.boxes[:, 2:] - example.boxes[:, :2]
    for class_id, share, (width, height) in zip(example.class_ids, shares, sides, strict=True):
        name = data.classes[class_id]
        if share < _SMALL_SHARE:
            yield f"a box of {name} has {width:.0f}x{height:.0f} pixels"
        elif share > _LARGE_SHARE:
            yield f"a box of {name} is the whole picture"
        elif max(width, height) > _NARROW * min(width, height):
            yield f"a box of {name} is very narrow, {width:.0f}x{height:.0f} pixels"
    overlaps = iou(example.boxes, example.boxes)
    for a, b in combinations(range(len(example.boxes)), 2):
        if example.class_ids[a] == example.class_ids[b] and overlaps[a, b] > _DOUBLE_IOU:
            yield f"{data.classes[example.class_ids[a]]} is marked twice in one place"


def _listed(what: str, places: Sequence[str]) -> list[str]:
    rest = f"; and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    return [f"This {what}: {'; '.join(places[:_LISTED])}{rest}."] if places else []
