"""From the proposal network's answers to the boxes that are worth a closer look."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding
from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.structures import boxes as box_geometry

Floats = npt.NDArray[np.float32]

PROPOSALS = 1000
_BEST_OF_LEVEL = 1000
_IOU_THRESHOLD = 0.7
_TORCHVISION_MIN_SIDE = 1e-3

# Up to so many boxes torchvision moves the groups apart and suppresses once; more it does group by group.
TORCHVISION_ONE_SUPPRESSION = 1000


def propose(
    answers: Sequence[Floats],
    grids: Sequence[tuple[int, int]],
    *,
    size: tuple[int, int],
    padded: tuple[int, int],
    origin: Origin,
) -> tuple[Floats, Floats]:
    """Return the best boxes (N, 4) in pixels of the resized picture, best first, and their logits (N,).

    N is at most 1000.

    answers: for P2..P6, (rows * columns, 15): three logits, then four deltas for each of three anchors.
    grids: rows and columns of each level.
    size: height and width of the resized picture, to which boxes are clipped.
    padded: height and width of the network's input.
    """
    boxes, logits = [], []
    for level, (rows, grid) in enumerate(zip(answers, grids, strict=True)):
        chosen = _best(rows[:, :3].reshape(-1))
        cell, anchor = np.divmod(chosen, 3)
        y, x = np.divmod(cell, grid[1])
        stride = box_coding.STRIDES[level]
        down, across = box_coding.anchor_steps(padded, grid, stride, origin)
        places = np.stack([x * across, y * down, x * across, y * down], axis=1).astype(np.float32)
        anchors = places + box_coding.base_anchors(stride, origin)[anchor]
        columns = 3 + 4 * anchor[:, None] + np.arange(4)
        decoded = box_coding.decode(anchors, rows[cell[:, None], columns], origin)
        boxes.append(box_geometry.clip(decoded, width=size[1], height=size[0]))
        logits.append(rows[cell, anchor])
    found = np.concatenate(boxes)
    scores = np.concatenate(logits)
    groups = np.repeat(np.arange(len(boxes)), [len(level) for level in boxes])
    large = _large_enough(found, origin)
    return _suppress(found[large], scores[large], groups[large], origin)


def _best(logits: Floats) -> npt.NDArray[np.int64]:
    """Return the indices of the 1000 greatest, greatest first."""
    if len(logits) > _BEST_OF_LEVEL:
        candidates = np.argpartition(logits, len(logits) - _BEST_OF_LEVEL)[-_BEST_OF_LEVEL:]
        candidates.sort()
    else:
        candidates = np.arange(len(logits))
    return candidates[np.argsort(-logits[candidates], kind="stable")]


def _large_enough(boxes: Floats, origin: Origin) -> npt.NDArray[np.bool_]:
    sides = boxes[:, 2:] - boxes[:, :2]
    enough = sides > 0 if origin is Origin.MMDET else sides >= np.float32(_TORCHVISION_MIN_SIDE)
    return np.logical_and(enough[:, 0], enough[:, 1])


def _suppress(
    boxes: Floats, logits: Floats, groups: npt.NDArray[np.int64], origin: Origin
) -> tuple[Floats, Floats]:
    together = origin is Origin.MMDET or len(boxes) <= TORCHVISION_ONE_SUPPRESSION
    placed = box_coding.apart(boxes, groups) if together else boxes
    kept = box_geometry.nms_per_class(placed, logits, groups, _IOU_THRESHOLD, PROPOSALS)
    return boxes[kept], logits[kept]
