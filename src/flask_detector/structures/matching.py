"""Which objects of two results of one picture are the same one: those whose boxes overlap by half or more."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.structures import boxes
from flask_detector.structures.detections import Detections

MATCH_IOU = 0.5
"""Intersection over union from which on two boxes may be of the same object, as for AP50 and Pascal VOC."""


@dataclass(frozen=True)
class Pair:
    """An object of the left result and one of the right that may be the same, by their indices."""

    left: int
    right: int
    same_label: bool


@dataclass(frozen=True)
class Matches:
    """What of two results matches, and the indices of what is in one of them alone, best score first."""

    same: list[Pair]
    other_label: list[Pair]
    only_left: list[int]
    only_right: list[int]


def pairs_of(left: Detections, right: Detections) -> list[Pair]:
    """Return all pairs that may match, in the order in which they do: of one label first, then by IoU."""
    overlaps = boxes.iou(left.boxes, right.boxes)
    found = []
    for i, j in np.argwhere(overlaps >= MATCH_IOU).tolist():
        same_label = left.labels[left.class_ids[i]] == right.labels[right.class_ids[j]]
        found.append((not same_label, -overlaps[i, j], i, j))
    return [Pair(i, j, not differs) for differs, _, i, j in sorted(found)]


def match(pairs: Iterable[Pair], left: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]) -> Matches:
    """Match what is shown of two results; each object matches one at most.

    pairs: as `pairs_of` returns them. left (N,), right (M,): which objects are shown. The page's script does
    the same with the same pairs (js/comparison/match.js).
    """
    left, right = left.copy(), right.copy()
    matched = []
    for pair in pairs:
        if left[pair.left] and right[pair.right]:
            left[pair.left] = right[pair.right] = False
            matched.append(pair)
    matched.sort(key=lambda pair: (pair.left, pair.right))
    return Matches(
        [pair for pair in matched if pair.same_label],
        [pair for pair in matched if not pair.same_label],
        np.flatnonzero(left).tolist(),
        np.flatnonzero(right).tolist(),
    )
