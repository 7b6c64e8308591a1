"""From what the head says of its cells to the instances that stay.

Source: MMDetection 3.3.0, BaseDenseHead._predict_by_feat_single, RTMDetInsHead._predict_by_feat_single.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.rtmdet.architecture import SIDE, STRIDES
from flask_detector.structures.boxes import Floats, Ints, nms_per_class


@dataclass(frozen=True)
class Rules:
    """How many candidates a level has, over which IoU a worse box goes, and how many boxes stay, at most."""

    candidates: int
    iou_threshold: float
    most: int


# Source: MMDetection 3.3.0, test_cfg in configs/rtmdet/rtmdet_l_8xb32-300e_coco.py and rtmdet-ins_l_….py.
BOX_RULES = Rules(30_000, 0.65, 300)
MASK_RULES = Rules(1000, 0.6, 100)


@dataclass(frozen=True)
class Cells:
    """The cells of all levels, row by row, in the order of the network's outputs.

    points: (P, 2) float32, x and y of each one's point in the letterboxed picture: its upper left corner.
    strides: (P,) float32.
    levels: for each level its cells.
    """

    points: Floats
    strides: Floats
    levels: tuple[slice, ...]

    @classmethod
    @cache
    def of_network(cls) -> Self:
        """Return the cells of the network's grids."""
        points, strides, levels, start = [], [], [], 0
        for stride in STRIDES:
            side = SIDE // stride
            rows, columns = np.mgrid[:side, :side].reshape(2, -1) * stride
            points.append(np.stack([columns, rows], axis=1).astype(np.float32))
            strides.append(np.full(side * side, stride, np.float32))
            levels.append(slice(start, start + side * side))
            start += side * side
        return cls(np.concatenate(points), np.concatenate(strides), tuple(levels))


@dataclass(frozen=True)
class Selected:
    """The instances that stay, best score first.

    boxes: (N, 4) float32, xyxy, in pixels of the picture, not clipped to it.
    cells: (N,) the cell that each one comes from.
    """

    boxes: Floats
    scores: Floats
    class_ids: Ints
    cells: Ints


def select(
    scores: Floats, distances: Floats, rules: Rules, *, scale: tuple[float, float], min_score: float
) -> Selected:
    """Return the best instances after suppression within each class.

    scores: (P, classes). distances: (P, 4) to the left, top, right and bottom side, in pixels of the
    letterboxed picture. scale: of that one to the picture's pixels, across and down.
    """
    grid = Cells.of_network()
    cells, class_ids = _candidates(scores, min_score, grid.levels, rules.candidates)
    best = scores[cells, class_ids]
    points, sides = grid.points[cells], distances[cells]
    boxes = np.concatenate([points - sides[:, :2], points + sides[:, 2:]], axis=1)
    boxes = np.clip(boxes, 0, np.float32(SIDE)) * np.array([1 / scale[0], 1 / scale[1]] * 2, np.float32)
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, best, class_ids, cells = boxes[has_area], best[has_area], class_ids[has_area], cells[has_area]
    kept = nms_per_class(boxes, best, class_ids, rules.iou_threshold, rules.most)
    return Selected(boxes[kept], best[kept], class_ids[kept], cells[kept])


def _candidates(scores: Floats, min_score: float, levels: tuple[slice, ...], most: int) -> tuple[Ints, Ints]:
    """Return cells and classes of the best pairs of each level over the lowest score."""
    chosen: list[npt.NDArray[np.int64]] = []
    for level in levels:
        flat = scores[level].reshape(-1)
        places = np.flatnonzero(flat > min_score)
        places = places[np.argsort(-flat[places], kind="stable")[:most]]
        chosen.append(places + level.start * scores.shape[1])
    cells, class_ids = np.divmod(np.concatenate(chosen), scores.shape[1])
    return cells, class_ids
