"""Geometry of axis-parallel boxes: float32 arrays (N, 4), xyxy, in pixels.

A box covers x1 <= x < x2 and y1 <= y < y2 of the continuous plane whose unit squares are the pixels, so
its area is (x2 - x1) * (y2 - y1), without any "+ 1".
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Boxes whose overlaps `nms` computes at once: few enough for the cache, enough to spare Python the loop.
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


def nms(boxes: Floats, scores: Floats, iou_threshold: float) -> Ints:
    """Greedy non-maximum suppression: return the indices of the boxes that stay, best score first.

    A box goes when its IoU with a better one that stays is strictly over the threshold. Among equal scores
    the earlier box is the better one.
    """
    columns = np.asfortranarray(boxes)
    rest = np.argsort(-scores, kind="stable")
    kept = [np.zeros(0, np.int64)]
    while rest.size:
        overlaps = iou(columns[rest[:_BLOCK]], columns[rest]) > iou_threshold
        goes = np.zeros(len(rest), bool)
        for rank, overlap in enumerate(overlaps):
            if not goes[rank]:
                goes[rank + 1 :] |= overlap[rank + 1 :]
        kept.append(rest[:_BLOCK][~goes[:_BLOCK]])
        rest = rest[_BLOCK:][~goes[_BLOCK:]]
    return np.concatenate(kept)


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
