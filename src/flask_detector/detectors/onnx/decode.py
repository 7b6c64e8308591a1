"""From a network's answers to candidates: a function for each form in which programs export them.

Each takes the outputs that its family chose, in that order, without the batch, in float32.
"""

from dataclasses import dataclass

import numpy as np

from flask_detector.detectors.onnx.interpretation import Interpretation
from flask_detector.detectors.onnx.masks import MaskGrids
from flask_detector.structures.boxes import Floats, Ints

# Of queries, the best pairs of query and class, as DETRs count them.
_MOST_PAIRS = 300


@dataclass(frozen=True)
class Question:
    """What a decoder needs to know besides.

    asked: how the answers are read. classes: how many the network has, 0 where its answers name them.
    size: of the network's input, height and width. min_score: of what is wanted.
    """

    asked: Interpretation
    classes: int
    size: tuple[int, int]
    min_score: float


@dataclass(frozen=True)
class Candidates:
    """What may be objects.

    boxes: (N, 4) in the form and unit that the interpretation says. scores, class_ids: (N,).
    masks: by the number of the candidate; None of a model of boxes alone.
    """

    boxes: Floats
    scores: Floats
    class_ids: Ints
    masks: MaskGrids | None = None


def channels_of_cells(outputs: list[Floats], question: Question) -> Candidates:
    """(4 + classes + coefficients, cells), and (coefficients, h, w) prototypes: Ultralytics since v8."""
    found, end = outputs[0], 4 + question.classes
    best = found[4:end].max(axis=0)
    cells = np.flatnonzero(best >= question.min_score)
    class_ids = found[4:end, cells].argmax(axis=0)
    masks = _of_prototypes(found[end:, cells].T, outputs)
    return Candidates(found[:4, cells].T, best[cells], class_ids, masks)


def rows_of_cells(outputs: list[Floats], question: Question) -> Candidates:
    """(cells, 4 + 1 + classes + coefficients), the fifth whether there is an object: YOLOv5, YOLOv7."""
    found, end = outputs[0], 5 + question.classes
    rows = np.flatnonzero(found[:, 4] >= question.min_score)
    scores = found[rows, 4:5] * (1 if question.asked.scores == "objectness" else found[rows, 5:end])
    kept = np.flatnonzero(scores.max(axis=1, initial=0) >= question.min_score)
    rows, scores = rows[kept], scores[kept]
    # Coefficients are weakened as scores are, and masks enlarged as probabilities.
    # Source: YOLOv5 7.0, general.non_max_suppression and segment.general.process_mask_native.
    masks = _of_prototypes(found[rows, end:] * found[rows, 4:5], outputs)
    if masks is not None:
        logits = masks.grid
        masks = MaskGrids(lambda candidate: _sigmoid(logits(candidate)), 0.5, masks.over)
    return Candidates(found[rows, :4], scores.max(axis=1, initial=0), scores.argmax(axis=1), masks)


def cells_of_yolox(outputs: list[Floats], question: Question) -> Candidates:
    """As `rows_of_cells`; centres in strides from the cell, logarithms of sides, unless decoded: YOLOX."""
    if question.asked.boxes != "yolox":
        return rows_of_cells(outputs, question)
    grids = [
        (np.mgrid[: question.size[0] // stride, : question.size[1] // stride].reshape(2, -1)[::-1].T, stride)
        for stride in (8, 16, 32)
    ]
    strides = np.concatenate([np.full((len(grid), 1), stride, np.float32) for grid, stride in grids])
    corners = np.concatenate([grid for grid, _ in grids]).astype(np.float32)
    found = outputs[0].copy()
    found[:, :2] = (found[:, :2] + corners) * strides
    # Sides of more than e^20 strides are no boxes.
    found[:, 2:4] = np.exp(np.minimum(found[:, 2:4], 20)) * strides
    return rows_of_cells([found], question)


def finished_rows(outputs: list[Floats], question: Question) -> Candidates:
    """(N, 4 + score + class + coefficients): what the network has chosen itself."""
    found = outputs[0][outputs[0][:, 4] >= question.min_score]
    return Candidates(found[:, :4], found[:, 4], _whole(found[:, 5]), _of_prototypes(found[:, 6:], outputs))


def finished_rows_of_batch(outputs: list[Floats], question: Question) -> Candidates:
    """(N, image + 4 + class + score): YOLOv7 with its suppression for ONNX Runtime."""
    found = outputs[0][outputs[0][:, 6] >= question.min_score]
    return Candidates(found[:, 1:5], found[:, 6], _whole(found[:, 5]))


def rows_of_efficientdet(outputs: list[Floats], question: Question) -> Candidates:
    """(N, image + 4 + score + class): EfficientDet of Google's automl."""
    found = outputs[0][outputs[0][:, 5] >= question.min_score]
    return Candidates(found[:, 1:5], found[:, 5], _whole(found[:, 6]))


def queries(outputs: list[Floats], question: Question) -> Candidates:
    """Logits (Q, classes), boxes (Q, 4), and perhaps masks' logits (Q, h, w): DETR and its relatives."""
    logits, boxes = outputs[:2]
    if question.asked.scores == "softmax":
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = (scores / scores.sum(axis=1, keepdims=True))[:, : logits.shape[1] - 1]
        rows = np.arange(len(scores))
        class_ids = scores.argmax(axis=1)
    else:
        scores = logits
        if question.asked.scores == "sigmoid":
            scores = _sigmoid(logits)
        order = np.argsort(-scores, axis=None, kind="stable")[: max(_MOST_PAIRS, len(scores))]
        rows, class_ids = np.divmod(order, scores.shape[1])
    best = scores[rows, class_ids]
    kept = best >= question.min_score
    rows, class_ids, best = rows[kept], class_ids[kept], best[kept]
    masks = None
    if len(outputs) > 2:
        grids = outputs[2]
        masks = MaskGrids(lambda candidate: grids[rows[candidate]], 0.0, "input")
    return Candidates(boxes[rows], best, class_ids, masks)


def rows_with_scores(outputs: list[Floats], question: Question) -> Candidates:
    """(Q, 4 + classes) with probabilities: Ultralytics' RT-DETR."""
    return queries([outputs[0][:, 4:], outputs[0][:, :4]], question)


def lists(outputs: list[Floats], question: Question) -> Candidates:
    """Boxes (N, 4), scores (N,), classes (N,), and perhaps masks (N, h, w), of the input or of the box."""
    boxes, scores, classes = (outputs[0].reshape(-1, 4), *(one.reshape(-1) for one in outputs[1:3]))
    kept = np.flatnonzero(scores >= question.min_score)
    masks = None
    if len(outputs) > 3:
        grids = outputs[3].reshape(-1, *outputs[3].shape[-2:])
        # What is as large as the input lies over it; RoI heads answer with 28 or 33 pixels for each box.
        of_box = max(grids.shape[-2:]) < min(question.size) // 2
        masks = MaskGrids(lambda candidate: grids[kept[candidate]], 0.5, "box" if of_box else "input")
    return Candidates(boxes[kept], scores[kept], _whole(classes[kept]), masks)


def scored_boxes(outputs: list[Floats], question: Question) -> Candidates:
    """Boxes with scores (N, 5), classes (N,), and perhaps masks: MMDetection by mmdeploy."""
    dets = outputs[0].reshape(-1, 5)
    return lists([dets[:, :4], dets[:, 4], *outputs[1:]], question)


def _of_prototypes(coefficients: Floats, outputs: list[Floats]) -> MaskGrids | None:
    if len(outputs) < 2:
        return None
    prototypes = outputs[1]
    flat = prototypes.reshape(len(prototypes), -1)
    return MaskGrids(
        lambda candidate: (coefficients[candidate] @ flat).reshape(prototypes.shape[1:]),
        0.0,
        "input within box",
        # Source: Ultralytics 8.4.190, SegmentationPredictor.construct_result.
        may_be_empty=False,
    )


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _whole(numbers: Floats) -> Ints:
    found: Ints = np.rint(np.clip(numbers, -1, 1e6)).astype(np.int64)
    return found
