"""Detections of the package supervision, and back.

supervision is an extra: it is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

if TYPE_CHECKING:
    import supervision

_HOW_TO_INSTALL = "pip install 'flask-detector[supervision]'"


def to_supervision(found: Detections) -> "supervision.Detections":
    """Return the same as a `supervision.Detections`.

    Class names are its data's "class_name". Masks become one array (N, H, W) of bool: a byte for each pixel
    of the picture and instance. What it has no place for (the picture's size, all labels, the model) is its
    metadata, from which `from_supervision` reads it.

    Raises ImportError that says what to install.
    """
    try:
        import supervision
    except ImportError as error:
        raise ImportError(
            f"The package supervision is needed for this; install it: {_HOW_TO_INSTALL}"
        ) from error
    masks = None
    if found.masks is not None:
        masks = np.zeros((len(found), found.height, found.width), bool)
        for whole, mask in zip(masks, found.masks, strict=True):
            if mask is not None:
                whole[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    return supervision.Detections(
        xyxy=found.boxes.copy(),
        mask=masks,
        confidence=found.scores.copy(),
        class_id=found.class_ids.astype(int),
        data={"class_name": np.array([one.label for one in found], dtype=str)},
        metadata={
            "width": found.width,
            "height": found.height,
            "labels": list(found.labels),
            "model": found.model,
        },
    )


def from_supervision(
    detections: "supervision.Detections",
    *,
    width: int | None = None,
    height: int | None = None,
    labels: tuple[str, ...] | None = None,
    model: str | None = None,
) -> Detections:
    """Return a `supervision.Detections` as ours, the best score first.

    width, height, labels, model: what it does not have itself; each may be left out where its metadata has
    it, as after `to_supervision`.

    Raises ValueError where one of them is neither given nor there, or scores or classes are missing.
    """
    given = {"width": width, "height": height, "labels": labels, "model": model}
    known: dict[str, Any] = {**detections.metadata, **{k: v for k, v in given.items() if v is not None}}
    missing = [name for name in given if name not in known]
    if missing:
        raise ValueError(f"give {', '.join(missing)}: these detections don't tell")
    if detections.confidence is None or detections.class_id is None:
        raise ValueError("these detections have no scores or no classes")
    return Detections.from_unordered(
        np.asarray(detections.xyxy, np.float32).reshape(-1, 4),
        np.asarray(detections.confidence, np.float32),
        np.asarray(detections.class_id, np.int64),
        masks=None
        if detections.mask is None
        else tuple(_cropped(mask) for mask in np.asarray(detections.mask)),
        width=known["width"],
        height=known["height"],
        labels=tuple(known["labels"]),
        model=known["model"],
    )


def _cropped(bitmap: Any) -> Mask:
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if len(rows) == 0:
        return Mask(0, 0, 0, 0, np.zeros(1, np.uint32))
    top, left = int(rows[0]), int(columns[0])
    inside = bitmap[top : rows[-1] + 1, left : columns[-1] + 1].astype(bool)
    return Mask.from_bitmap(inside, x=left, y=top)
