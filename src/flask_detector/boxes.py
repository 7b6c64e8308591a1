"""Geometry of axis-parallel boxes: float32 arrays (N, 4), xyxy, in pixels.

A box covers x1 <= x < x2 and y1 <= y < y2 of the continuous plane whose unit squares are the pixels, so
its area is (x2 - x1) * (y2 - y1), without any "+ 1".
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_NMS_BLOCK = 64


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


def iou(a: Floats, b: Floats) -> Floats:
    """Return the intersection over union (N, M) of each box of a (N, 4) with each of b (M, 4).

    Two boxes that both have no area have an IoU of 0.
    """
    # One side at a time: whole rows of numbers are several times as fast as pairs of them.
    ax1, ay1, ax2, ay2 = a.T[:, :, None]
    bx1, by1, bx2, by2 = b.T.copy()
    intersection = np.minimum(ax2, bx2)
    intersection -= np.maximum(ax1, bx1)
    np.maximum(intersection, 0, out=intersection)
    heights = np.minimum(ay2, by2)
    heights -= np.maximum(ay1, by1)
    np.maximum(heights, 0, out=heights)
    intersection *= heights
    union = areas(a)[:, None] + areas(b)[None, :]
    union -= intersection
    overlap: Floats = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def nms(boxes: Floats, scores: Floats, iou_threshold: float) -> Ints:
    """Greedy non-maximum suppression: return the indices of the boxes that stay, best score first.

    A box goes when its IoU with a better one that stays is strictly over the threshold. Among equal scores
    the earlier box is the better one.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    stays = np.ones(len(order), bool)
    # A block at a time: within it one by one, then all that is behind it by those of it that stay.
    for start in range(0, len(order), _NMS_BLOCK):
        block = slice(start, start + _NMS_BLOCK)
        block_stays = stays[block]
        overlaps = iou(ranked[block], ranked[block]) > iou_threshold
        for row in np.flatnonzero(np.triu(overlaps, 1).any(axis=1)):
            if block_stays[row]:
                block_stays[row + 1 :] &= ~overlaps[row, row + 1 :]
        behind = start + _NMS_BLOCK + np.flatnonzero(stays[start + _NMS_BLOCK :])
        better = ranked[block][block_stays]
        stays[behind] = ~(iou(better, ranked[behind]) > iou_threshold).any(axis=0)
    return order[stays]


def nms_per_class(
    boxes: Floats, scores: Floats, class_ids: npt.NDArray[np.integer], iou_threshold: float
) -> Ints:
    """Do `nms` within each class; return the indices that stay, best score first over all classes."""
    kept = [
        np.flatnonzero(class_ids == c)[nms(boxes[class_ids == c], scores[class_ids == c], iou_threshold)]
        for c in np.unique(class_ids)
    ]
    indices = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return indices[np.argsort(-scores[indices], kind="stable")]
