"""Geometry of axis-parallel boxes: float32 arrays (N, 4), xyxy, in pixels.

A box covers x1 <= x < x2 and y1 <= y < y2 of the continuous plane whose unit squares are the pixels, so
its area is (x2 - x1) * (y2 - y1), without any "+ 1".
"""

from math import ceil, floor

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Box = tuple[float, float, float, float]

# Boxes whose overlaps are computed at once: few enough for the cache, enough to spare Python the loop.
_BLOCK = 64


def areas(boxes: Floats) -> Floats:
    """Return the area (N,) of each box of (N, 4); 0 for a box turned inside out."""
    sides: Floats = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def clip(boxes: Floats, *, width: float, height: float) -> Floats:
    """Return the boxes (N, 4) cut at a picture of that size."""
    limit = np.array([width, height, width, height], np.float32)
    clipped: Floats = np.clip(boxes, np.float32(0), limit)
    return clipped


def pixels_of(box: Box, *, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the pixels that a box in a picture of that size touches: left, top, and the first beyond them.

    It is always one at least, also of a box without area and of one at the picture's border.
    """
    x1, y1, x2, y2 = box
    left, top = min(floor(x1), width - 1), min(floor(y1), height - 1)
    return left, top, max(ceil(x2), left + 1), max(ceil(y2), top + 1)


def iou(a: Floats, b: Floats) -> Floats:
    """Return the intersection over union (N, M) of each box of a (N, 4) with each of b (M, 4).

    Two boxes that both have no area have an IoU of 0.
    """
    # Coordinate by coordinate: numpy is several times slower along a last axis of two.
    widths = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    heights = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    intersection = np.maximum(widths, 0) * np.maximum(heights, 0)
    union = areas(a)[:, None] + areas(b)[None, :] - intersection
    overlap: Floats = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def nms_per_class(
    boxes: Floats, scores: Floats, class_ids: npt.NDArray[np.integer], iou_threshold: float, most: int
) -> Ints:
    """Greedy non-maximum suppression within each class: return the indices of the best boxes that stay.

    A box goes when its IoU with a better one of its class that stays is strictly over the threshold. Among
    equal scores that of the lower class is the better one, then the earlier one.

    most: how many are returned at most, best score first. Worse boxes than the last are not looked at.
    """
    order = np.lexsort((class_ids, -scores))
    columns, classes = np.asfortranarray(boxes[order]), class_ids[order]

    def covered(a: Ints, b: Ints) -> npt.NDArray[np.bool_]:
        overlaps: npt.NDArray[np.bool_] = iou(columns[a], columns[b]) > iou_threshold
        alike: npt.NDArray[np.bool_] = classes[a, None] == classes[b]
        return overlaps & alike

    kept = np.zeros(0, np.int64)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        block = block[~covered(block, kept).any(axis=1)]
        kept = np.concatenate([kept, block[_stays(covered(block, block))]])
        if len(kept) >= most:
            break
    best: Ints = order[kept[:most]]
    return best


def _stays(overlaps: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which of boxes (N,), best first, stay where these overlap each other (N, N)."""
    goes = np.zeros(len(overlaps), bool)
    for rank, overlap in enumerate(overlaps):
        if not goes[rank]:
            goes[rank + 1 :] |= overlap[rank + 1 :]
    return ~goes
