"""From what the head says of its cells to the instances that stay.

Source: MMDetection 3.3.0, BaseDenseHead._predict_by_feat_single, RTMDetInsHead._predict_by_feat_single.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.rtmdet.architecture import SIDE, STRIDES
from flask_detector.structures.boxes import Floats, Ints, iou, nms_per_class


@dataclass(frozen=True)
class Rules:
    """How many candidates a level has, over which IoU a worse box goes, and how many boxes stay, at most.

    min_score: what a candidate's score must be over, even where a lower one is asked for.
    """

    candidates: int
    iou_threshold: float
    most: int
    min_score: float = 0.0


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
    cells, class_ids = _candidates(scores, max(min_score, rules.min_score), grid.levels, rules.candidates)
    best = scores[cells, class_ids]
    boxes = _boxes(distances[cells], grid.points[cells], scale)
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, best, class_ids, cells = boxes[has_area], best[has_area], class_ids[has_area], cells[has_area]
    kept = nms_per_class(boxes, best, class_ids, rules.iou_threshold, rules.most)
    return Selected(boxes[kept], best[kept], class_ids[kept], cells[kept])


def cells_for_boxes(
    scores: Floats,
    distances: Floats,
    boxes: Floats,
    class_ids: Sequence[int | None],
    *,
    scale: tuple[float, float],
) -> Ints:
    """Return the cell (N,) that tells most of each box (N, 4) in pixels of the picture.

    It is the one with the largest product of its score of the box's class (None: of any) and the fourth power
    of the IoU of its own box with it. So the model's own box is told by its own cell again: suppression left
    no other box of the class with an IoU over 0.6, which counts for a seventh. And a box that a person drew
    is told by the surest cell that means about the same, not by one nobody would look at that happens to fit
    a little better.
    """
    own = _boxes(distances, Cells.of_network().points, scale)
    cells = np.empty(len(boxes), np.int64)
    for i, class_id in enumerate(class_ids):
        of_class = scores.max(axis=1) if class_id is None else scores[:, class_id]
        cells[i] = (iou(boxes[i : i + 1], own)[0] ** 4 * of_class).argmax()
    return cells


def _boxes(distances: Floats, points: Floats, scale: tuple[float, float]) -> Floats:
    """Return boxes (N, 4) in pixels of the picture of distances (N, 4) from points (N, 2) to their sides."""
    boxes = np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)
    scaled: Floats = np.clip(boxes, 0, np.float32(SIDE))
    scaled *= np.array([1 / scale[0], 1 / scale[1]] * 2, np.float32)
    return scaled


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
