"""How boxes come out of deltas: anchors, decoding and the level of a box, as each origin does it.

Boxes are float32 arrays (N, 4), xyxy, in pixels of the resized picture.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.variants import Origin

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

STRIDES = (4, 8, 16, 32, 64)

# What the box head's deltas are multiplied by (MMDetection's stds; the others divide by 10 and 5).
BOX_DELTA_STDS = (0.1, 0.1, 0.2, 0.2)

_MAX_LOG_RATIO = math.log(1000 / 16)


def base_anchors(size: float, ratios: Sequence[float], origin: Origin) -> Floats:
    """Return the anchors (3, 4) about the point (0, 0), one for each ratio of height to width.

    size: the square root of their area.
    """
    height_ratios = np.sqrt(np.array(ratios, np.float32))
    widths, heights = np.float32(size) * (1 / height_ratios), np.float32(size) * height_ratios
    anchors = (np.stack([-widths, -heights, widths, heights], axis=1) / 2).astype(np.float32)
    return np.rint(anchors, out=anchors) if origin.rules.rounds_anchors else anchors


def anchor_steps(
    padded: tuple[int, int], grid: tuple[int, int], stride: int, origin: Origin
) -> tuple[int, int]:
    """Return the distance (down, across) between anchors in pixels."""
    if origin.rules.rounds_anchors:
        return padded[0] // grid[0], padded[1] // grid[1]
    return stride, stride


def decode(boxes: Floats, deltas: Floats, origin: Origin) -> Floats:
    """Return the boxes (N, 4) moved and scaled by deltas (N, 4): dx, dy in sides, dw, dh as logarithms."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    limit = np.float32(_MAX_LOG_RATIO)
    if origin.rules.limits_shrinking:
        centres = (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)
        logs = np.clip(deltas[:, 2:], -limit, limit)
    else:
        centres = boxes[:, :2] + np.float32(0.5) * sizes
        logs = np.minimum(deltas[:, 2:], limit)
    centres = centres + deltas[:, :2] * sizes
    halves = np.exp(logs) * sizes * np.float32(0.5)
    decoded: Floats = np.concatenate([centres - halves, centres + halves], axis=1)
    return decoded


def levels(boxes: Floats, origin: Origin) -> Ints:
    """Return for each box the index (0..3 for P2..P5) of the map that its features come from.

    A box of 224 pixels a side belongs to P4, one of half that to P3.
    """
    rule = origin.rules.level
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    with np.errstate(divide="ignore"):
        exponents = np.log2(sides / np.float32(rule.side) + np.float32(rule.inside))
    found = np.floor(np.float32(rule.base) + exponents + np.float32(rule.outside)) - rule.first
    index: Ints = np.clip(found, 0, 3).astype(np.int64)
    return index


def apart(boxes: Floats, groups: Ints) -> Floats:
    """Return the boxes moved so that no two of different groups touch.

    Suppression within groups is done by the origins as one over boxes moved like this; the moving rounds the
    coordinates, which can decide a tie.
    """
    if len(boxes) == 0:
        return boxes
    moved: Floats = boxes + (groups.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
    return moved
