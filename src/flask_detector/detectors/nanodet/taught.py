"""A taught NanoDet-g: alone, or as a pair with the embedded model, whose detections it leaves as they are."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from flask_detector.detectors.base import Detector, OnStage, StageClock, checked_score
from flask_detector.detectors.nanodet.convert import PAIR
from flask_detector.detectors.nanodet.detector import NanoDet, prepare
from flask_detector.detectors.nanodet.layers import graph_of
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import iou
from flask_detector.structures.detections import Detections

# Over this IoU a box of the base and a taught one are of the same object.
SAME_OBJECT_IOU = 0.6


def load_taught(
    folder: Path, *, name: str, threads: int = 1, precision: Precision = Precision.AUTO
) -> Detector:
    """Return the detector of a folder of converted weights; raises CheckpointError."""
    converted = WeightsFile.open(folder)
    taught = NanoDet(
        graph_of(converted.weights), name=name, labels=converted.labels, threads=threads, precision=precision
    )
    if converted.variant != PAIR:
        return taught
    base = NanoDet(threads=threads, precision=precision)
    return Pair(base, taught, name=name, replaces=converted.options.get("replaces", {}))


class Pair:
    """Two models as one; see the Detector protocol.

    replaces: by taught class, which classes of the base are called so where both find the same object.
    """

    has_masks = False

    def __init__(
        self, base: NanoDet, taught: NanoDet, *, name: str, replaces: Mapping[str, Collection[str]]
    ) -> None:
        self.name = name
        self.labels = tuple(dict.fromkeys((*base.labels, *taught.labels)))
        self.default_min_score = base.default_min_score
        self.max_side = base.max_side
        self._base, self._taught, self._replaces = base, taught, replaces

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what both find in a picture; see `joined`."""
        min_score = checked_score(min_score, self.default_min_score)
        clock = StageClock(on_stage)
        pixels = Pixels.of(image)
        with clock.stage("prepare"):
            picture = prepare(pixels)
            pixels.forget()
        found = self._base.find_in(picture, pixels.width, pixels.height, min_score, clock)
        taught = self._taught.find_in(picture, pixels.width, pixels.height, min_score, clock)
        both = joined(found, taught, self._replaces, sure=self.default_min_score)
        return replace(both, model=self.name, timings=clock.timings)

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
    kept = ~(same & ~wins).any(axis=0)
    stays = ~(same & wins & kept).any(axis=1)
    ids = np.array([labels.index(label) for label in taught.labels])[taught.class_ids[kept]]
    return Detections.from_unordered(
        np.concatenate([base.boxes[stays], taught.boxes[kept]]),
        np.concatenate([base.scores[stays], taught.scores[kept]]),
        np.concatenate([base.class_ids[stays], ids]),
        width=base.width,
        height=base.height,
        labels=labels,
        model=base.model,
    )
