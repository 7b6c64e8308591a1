"""Masks, compared."""

from typing import Any

from pycocotools import mask as coco_mask

from flask_detector.structures.masks import Mask


def mask_iou(a: Mask | None, b: Mask | None, width: int, height: int) -> float:
    """Return the IoU of two masks in a picture of that size; 1 where both are empty."""
    if a is None or b is None or a.area == b.area == 0:
        return float(a is not None and b is not None)
    forms: list[dict[str, Any]] = [mask.to_rle(width=width, height=height) for mask in (a, b)]
    ours, theirs = ({**form, "counts": form["counts"].encode()} for form in forms)
    return float(coco_mask.iou([ours], [theirs], [0])[0, 0])
