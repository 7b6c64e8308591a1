"""A taught model as a pair with the one that it was taught from, whose detections it leaves as they are."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, Final, Protocol

import numpy as np

from flask_detector.detectors.base import BoxOutliner, Detector, OnStage, StageClock, checked_score
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats, iou
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

# The variants of a taught model: the taught classes by themselves, or together with the base's.
ALONE: Final = "alone"
VARIANTS: Final = (ALONE, PAIR)

# Over this IoU a box of the base and a taught one are of the same object.
SAME_OBJECT_IOU = 0.6


def meta_of(labels: Sequence[str], about: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a taught model's file: the names of its classes, and what else is said."""
    return {"format": "pt", "labels": json.dumps(list(labels))} | {
        name: json.dumps(value) for name, value in about.items()
    }


def replaced(meta: Mapping[str, Any], labels: Sequence[str]) -> dict[str, list[str]]:
    """Return which classes of the base model each class stands for, as a file's metadata say."""
    try:
        found = json.loads(meta.get("replaces", "{}"))
        return {label: [str(one) for one in found[label]] for label in labels if label in found}
    except (TypeError, ValueError):
        return {}


def base_of(meta: Mapping[str, Any]) -> str:
    """Return the name of the model that one was taught from, as its file's metadata say; "" if they don't."""
    try:
        return str(json.loads(meta.get("base", '""')))
    except (TypeError, ValueError):
        return ""


class Teachable(Detector, Protocol):
    """A detector that finds objects in a picture that another one of its kind has prepared, too."""

    def prepare(self, pixels: Pixels) -> Picture:
        """Return the picture (H, W, 3) as the network sees it."""

    def find_in(
        self, picture: Picture, width: int, height: int, min_score: float, clock: StageClock
    ) -> Detections:
        """Return what is found in a prepared picture, in pixels of the original of that width and height."""


class Pair:
    """Two models as one; see the Detector protocol.

    replaces: by taught class, which classes of the base are called so where both find the same object.
    """

    def __init__(
        self, base: Teachable, taught: Teachable, *, name: str, replaces: Mapping[str, Collection[str]]
    ) -> None:
        self.name = name
        self.labels = tuple(dict.fromkeys((*base.labels, *taught.labels)))
        self.default_min_score = base.default_min_score
        self.max_side = base.max_side
        self.has_masks = base.has_masks
        self._base, self._taught, self._replaces = base, taught, replaces

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what both find in a picture; see `joined`."""
        min_score = checked_score(min_score, self.default_min_score)
        clock = StageClock(on_stage)
        pixels = Pixels.of(image)
        with clock.stage("prepare"):
            picture = self._base.prepare(pixels)
            pixels.forget()
        found = self._base.find_in(picture, pixels.width, pixels.height, min_score, clock)
        taught = self._taught.find_in(picture, pixels.width, pixels.height, min_score, clock)
        both = joined(found, taught, self._replaces, sure=self.default_min_score)
        return replace(both, model=self.name, timings=clock.timings)

    def masks_for_boxes(
        self, image: Picture | Pixels, boxes: Floats, class_ids: Sequence[int | None]
    ) -> tuple[Mask, ...]:
        """Return masks of boxes; see BoxOutliner. The base says them, of a taught class the taught model."""
        masks: list[Mask] = []
        for number, class_id in enumerate(class_ids):
            label = None if class_id is None else self.labels[class_id]
            model = self._taught if label in self._taught.labels else self._base
            known = None if label is None else model.labels.index(label)
            if isinstance(model, BoxOutliner):
                masks += model.masks_for_boxes(image, boxes[number : number + 1], [known])
        return tuple(masks)

    def rest(self) -> None:
        """Give back the memory of the networks' intermediate results."""
        self._base.rest()
        self._taught.rest()


def joined(
    base: Detections, taught: Detections, replaces: Mapping[str, Collection[str]], *, sure: float
) -> Detections:
    """Return the detections of both, without those that tell of the same object otherwise and worse.

    Where boxes of the two overlap by more than an IoU of 0.6, the one with the higher score stays; a taught
    one that is sure always does where its class replaces the other's. What stays is as it was.

    sure: from which score on a taught detection counts as right.
    """
    labels = tuple(dict.fromkeys((*base.labels, *taught.labels)))
    same = iou(base.boxes, taught.boxes) > SAME_OBJECT_IOU
    of_class = np.array([[b == t or b in replaces.get(t, ()) for t in taught.labels] for b in base.labels])
    stands_for = of_class[base.class_ids[:, None], taught.class_ids]
    wins = (taught.scores > base.scores[:, None]) | (stands_for & (taught.scores >= sure))
    kept = np.asarray(~(same & ~wins).any(axis=0))
    stays = np.asarray(~(same & wins & kept).any(axis=1))
    ids = np.array([labels.index(label) for label in taught.labels])[taught.class_ids[kept]]
    masks = None
    if base.masks is not None and taught.masks is not None:
        masks = (*compress(base.masks, stays), *compress(taught.masks, kept))
    return Detections.from_unordered(
        np.concatenate([base.boxes[stays], taught.boxes[kept]]),
        np.concatenate([base.scores[stays], taught.scores[kept]]),
        np.concatenate([base.class_ids[stays], ids]),
        width=base.width,
        height=base.height,
        masks=masks,
        labels=labels,
        model=base.model,
    )
