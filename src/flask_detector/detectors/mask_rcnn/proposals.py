"""From the proposal network's answers to the boxes that are worth a closer look."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding
from flask_detector.detectors.mask_rcnn.variants import Origin, Traits
from flask_detector.structures import boxes as box_geometry

Floats = npt.NDArray[np.float32]

# torchvision's suppression, which Detectron2 uses too, moves up to so many boxes apart and suppresses once;
# with more it goes group by group.
_MOST_MOVED_APART = 1000


def propose(
    answers: Sequence[Floats],
    grids: Sequence[tuple[int, int]],
    *,
    size: tuple[int, int],
    padded: tuple[int, int],
    traits: Traits,
) -> tuple[Floats, Floats]:
    """Return the best boxes (N, 4) in pixels of the resized picture, best first, and their logits (N,).

    N is at most the option rpn_post_nms_top_n.

    answers: for P2..P6, (rows * columns, 15): three logits, then four deltas for each of three anchors.
    grids: rows and columns of each level.
    size: height and width of the resized picture, to which boxes are clipped.
    padded: height and width of the network's input.
    """
    origin, options = traits.origin, traits.options
    boxes, logits = [], []
    for level, (rows, grid) in enumerate(zip(answers, grids, strict=True)):
        chosen = _best(rows[:, :3].reshape(-1), options.rpn_pre_nms_top_n)
        cell, anchor = np.divmod(chosen, 3)
        y, x = np.divmod(cell, grid[1])
        stride = box_coding.STRIDES[level]
        down, across = box_coding.anchor_steps(padded, grid, stride, origin)
        places = np.stack([x * across, y * down, x * across, y * down], axis=1).astype(np.float32)
        base = box_coding.base_anchors(options.anchor_sizes[level], options.aspect_ratios, origin)
        anchors = places + base[anchor]
        columns = 3 + 4 * anchor[:, None] + np.arange(4)
        decoded = box_coding.decode(anchors, rows[cell[:, None], columns], origin)
        boxes.append(box_geometry.clip(decoded, width=size[1], height=size[0]))
        logits.append(rows[cell, anchor])
    found = np.concatenate(boxes)
    scores = np.concatenate(logits)
    groups = np.repeat(np.arange(len(boxes)), [len(level) for level in boxes])
    good = large_enough(found, origin.rules.min_proposal_side)
    if options.rpn_score_thresh > 0:
        good &= scores >= np.log(options.rpn_score_thresh / (1 - options.rpn_score_thresh))
    found, scores, groups = found[good], scores[good], groups[good]
    placed = moved_apart(found, groups, origin)
    kept = box_geometry.nms_per_class(
        placed, scores, groups, options.rpn_nms_thresh, options.rpn_post_nms_top_n
    )
    return found[kept], scores[kept]


def large_enough(boxes: Floats, min_side: float) -> npt.NDArray[np.bool_]:
    """Tell which boxes (N, 4) have sides of at least min_side; for 0 more than that."""
    sides = boxes[:, 2:] - boxes[:, :2]
    enough = sides >= np.float32(min_side) if min_side else sides > 0
    return np.logical_and(enough[:, 0], enough[:, 1])


def moved_apart(boxes: Floats, groups: npt.NDArray[np.int64], origin: Origin) -> Floats:
    """Return the boxes (N, 4) as they are when those of the same group are suppressed."""
    together = origin.rules.always_moves_apart or len(boxes) <= _MOST_MOVED_APART
    return box_coding.apart(boxes, groups) if together else boxes


def _best(logits: Floats, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of the greatest, greatest first."""
    if len(logits) > count:
        candidates = np.argpartition(logits, len(logits) - count)[-count:]
        candidates.sort()
    else:
        candidates = np.arange(len(logits))
    return candidates[np.argsort(-logits[candidates], kind="stable")]
