"""How boxes come out of deltas: anchors, decoding and the level of a box, as each origin does it.

Boxes are float32 arrays (N, 4), xyxy, in pixels of the resized picture.
"""

import math

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.variants import Origin

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

STRIDES = (4, 8, 16, 32, 64)
RATIOS = (0.5, 1.0, 2.0)
ANCHOR_SCALE = 8

# What the box head's deltas are multiplied by (MMDetection's stds; torchvision divides by 10 and 5).
BOX_DELTA_STDS = (0.1, 0.1, 0.2, 0.2)

_MAX_LOG_RATIO = math.log(1000 / 16)


def base_anchors(stride: int, origin: Origin) -> Floats:
    """Return the anchors (3, 4) about the point (0, 0), one for each ratio of height to width.

    torchvision rounds the corners to whole pixels.
    """
    ratios = np.array(RATIOS, np.float32)
    side = np.float32(ANCHOR_SCALE * stride)
    height_ratios = np.sqrt(ratios)
    widths, heights = side * (1 / height_ratios), side * height_ratios
    anchors = (np.stack([-widths, -heights, widths, heights], axis=1) / 2).astype(np.float32)
    return np.rint(anchors, out=anchors) if origin is Origin.TORCHVISION else anchors


def anchor_steps(
    padded: tuple[int, int], grid: tuple[int, int], stride: int, origin: Origin
) -> tuple[int, int]:
    """Return the distance (down, across) between anchors in pixels.

    torchvision takes the padded picture's side over the grid's, without the rest: on P6 that is not always
    the stride.
    """
    if origin is Origin.MMDET:
        return stride, stride
    return padded[0] // grid[0], padded[1] // grid[1]


def decode(boxes: Floats, deltas: Floats, origin: Origin) -> Floats:
    """Return the boxes (N, 4) moved and scaled by deltas (N, 4): dx, dy in sides, dw, dh as logarithms.

    MMDetection limits dw and dh both ways, torchvision only upwards.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    limit = np.float32(_MAX_LOG_RATIO)
    if origin is Origin.MMDET:
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

    A box of 224 pixels a side belongs to P4, one of half that to P3. The origins put the epsilon that settles
    ties in different places. Source: Lin et al., "Feature Pyramid Networks" (2017), equation 1.
    """
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    with np.errstate(divide="ignore"):
        if origin is Origin.MMDET:
            found = np.floor(np.log2(sides / np.float32(56) + np.float32(1e-6)))
        else:
            found = np.floor(np.float32(4) + np.log2(sides / np.float32(224)) + np.float32(1e-6)) - 2
    return np.clip(found, 0, 3).astype(np.int64)


def apart(boxes: Floats, groups: Ints) -> Floats:
    """Return the boxes moved so that no two of different groups touch.

    Suppression within groups is done by the origins as one over boxes moved like this; the moving rounds the
    coordinates, which can decide a tie.
    """
    if len(boxes) == 0:
        return boxes
    moved: Floats = boxes + (groups.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
    return moved
