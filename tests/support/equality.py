"""Whether two sets of detections are the same, object by object."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flask_detector.structures.boxes import clip, iou
from flask_detector.structures.detections import Detections

_SAME_PIXEL = 0.05


@dataclass(frozen=True)
class Equality:
    """How many objects each has that the other lacks, and how far the others differ at most."""

    common: int
    lacking: int
    surplus: int
    worst_box_iou: float
    worst_score: float
    worst_mask_iou: float


def equality(
    ours: Detections,
    theirs: dict[str, Any],
    masks: "np.ndarray[Any, Any] | None" = None,
    *,
    surely: float = 0.0,
) -> Equality:
    """Return how equal detections are to `boxes`, `scores` and `classes`, and masks (N, H, W), of a program.

    Each of theirs is compared with the one of ours of its class that has its score, and of those the one that
    fits best by box and score.

    surely: what has a lower score may be missing, as it is where that is nearly the lowest score to keep.
    """
    boxes = clip(np.array(theirs["boxes"], np.float32).reshape(-1, 4), width=ours.width, height=ours.height)
    overlaps = iou(boxes, ours.boxes)
    # Boxes that the picture's border leaves nothing of have no IoU.
    overlaps[np.abs(boxes[:, None] - ours.boxes).max(axis=2) < _SAME_PIXEL] = 1
    free = np.ones(len(ours), bool)
    worst_box = worst_mask = 1.0
    worst_score, lacking = 0.0, 0
    for i, (score, class_id) in enumerate(zip(theirs["scores"], theirs["classes"], strict=True)):
        away = np.abs(ours.scores - score)
        fits = free & (ours.class_ids == class_id) & (away < 0.01) & (overlaps[i] >= 0.5)
        if not fits.any():
            lacking += score >= surely
            continue
        j = int(np.where(fits, overlaps[i] - away, -1).argmax())
        free[j] = False
        worst_box = min(worst_box, float(overlaps[i, j]))
        worst_score = max(worst_score, abs(float(ours.scores[j]) - score))
        if masks is not None and ours.masks is not None:
            worst_mask = min(worst_mask, _mask_iou(ours, j, masks[i]))
    surplus = int((free & (ours.scores >= surely)).sum())
    return Equality(int((~free).sum()), lacking, surplus, worst_box, worst_score, worst_mask)


def _mask_iou(ours: Detections, number: int, theirs: "np.ndarray[Any, Any]") -> float:
    mask = (ours.masks or ())[number]
    assert mask is not None
    whole = np.zeros((ours.height, ours.width), bool)
    whole[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    union = (whole | theirs).sum()
    return float((whole & theirs).sum() / union) if union else 1.0
