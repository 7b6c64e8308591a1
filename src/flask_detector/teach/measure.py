"""How good a model is on pictures that it has not learned from, and which score suits each class."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from flask_detector import evaluation
from flask_detector.detectors.base import StageClock
from flask_detector.detectors.pair import Teachable
from flask_detector.structures.boxes import Floats, iou
from flask_detector.structures.detections import Detections
from flask_detector.teach.examples import SAME_OBJECT_IOU, Example, Found

# The least score that counts for the AP.
LEAST_SCORE: Final = 0.01

# Of scores outside these a suggestion would be chance.
_LEAST_SUGGESTED, _MOST_SUGGESTED = 0.1, 0.7
_CALIBRATION_PARTS: Final = 5


@dataclass(frozen=True)
class Figures:
    """In 0..1; None where nothing counts towards it.

    precision, recall: of boxes from the suggested score on, at an IoU of 0.5.
    mask_ap, mask_ap50: of masks, where all objects have one and the model finds some.
    """

    ap: float | None
    ap50: float | None
    precision: float | None
    recall: float | None
    mask_ap: float | None = None
    mask_ap50: float | None = None


def found_in(detector: Teachable, examples: Sequence[Example], on_picture: Callable[[], None]) -> list[Found]:
    """Return what a model finds in pictures. on_picture: called after each."""
    answers = []
    for one in examples:
        found = detector.find_in(np.array(one.pixels()), one.width, one.height, LEAST_SCORE, StageClock())
        answers.append(Found.of(found))
        on_picture()
    return answers


def figures(
    examples: Sequence[Example],
    found: Sequence[Found],
    classes: Sequence[str],
    *,
    min_score: float,
    calibrated: Sequence[Found] | None = None,
) -> dict[str, Figures]:
    """Return the figures by class, and as "" their means; precision and recall of "" count all boxes.

    calibrated: the same with the scores that precision and recall are to be of, see `calibrated_by_others`.
    """
    annotations, answers = _coco(examples, found, classes)
    result = evaluation.evaluate(annotations, answers, classes, has_masks=annotations.has_masks)

    def figures_of(label: str, precision: float | None, recall: float | None) -> Figures:
        aps: list[float | None] = []
        for kind, total in result.figures.items():
            by_class = (result.categories[kind], result.categories_at_50[kind])
            aps += [one.get(label) for one in by_class] if label else [total["AP"], total["AP50"]]
        return Figures(aps[0], aps[1], precision, recall, *aps[2:])

    measured = {}
    hits, boxes, objects = 0, 0, 0
    for class_id, label in enumerate(classes):
        scores, is_right, count = _matched(examples, calibrated or found, label, class_id)
        right, given = int(is_right[scores >= min_score].sum()), int((scores >= min_score).sum())
        measured[label] = figures_of(label, _share(right, given), _share(right, count))
        hits, boxes, objects = hits + right, boxes + given, objects + count
    return measured | {"": figures_of("", _share(hits, boxes), _share(hits, objects))}


def shifts(
    examples: Sequence[Example], found: Sequence[Found], classes: Sequence[str], *, suggested: float
) -> Floats:
    """Return what to add to the logits of each class so that the suggested score is the best one to show.

    That is the one of the highest F1. So scores of taught classes mean what those of the base model do.
    """
    added = []
    for class_id, label in enumerate(classes):
        scores, is_right, count = _matched(examples, found, label, class_id)
        order = np.argsort(-scores)
        hits = np.cumsum(is_right[order])
        f1 = 2 * hits / (np.arange(len(order)) + 1 + max(1, count))
        best = float(scores[order][np.argmax(f1)]) if hits.any() else suggested
        best = min(_MOST_SUGGESTED, max(_LEAST_SUGGESTED, best))
        added.append(_logit(suggested) - _logit(best))
    return np.array(added, np.float32)


def shifted(found: Found, classes: Sequence[str], added: Floats) -> Found:
    """Return what a model finds after its logits were shifted."""
    by_label = dict(zip(classes, added, strict=True))
    logits = np.log(found.scores / (1 - found.scores)) + np.array(
        [by_label[one] for one in found.labels], np.float32
    )
    return replace(found, scores=(1 / (1 + np.exp(-logits))).astype(np.float32))


def calibrated_by_others(
    examples: Sequence[Example], found: Sequence[Found], classes: Sequence[str], *, suggested: float
) -> list[Found]:
    """Return what a model finds, the scores of each picture shifted as suits other pictures best.

    Precision and recall of a picture whose own objects have chosen the shift would be too good.
    """
    answers = list(found)
    count = min(_CALIBRATION_PARTS, len(examples))
    for part in range(count):
        others = [n for n in range(len(examples)) if n % count != part]
        added = shifts(
            [examples[n] for n in others], [found[n] for n in others], classes, suggested=suggested
        )
        for n in range(part, len(examples), count):
            answers[n] = shifted(found[n], classes, added)
    return answers


def mistakes(example: Example, found: Found, classes: Sequence[str], *, min_score: float) -> int:
    """Return how many objects of a picture are missed, and how many boxes are wrong."""
    number = 0
    for class_id, label in enumerate(classes):
        scores, is_right, count = _matched([example], [found], label, class_id)
        shown = scores >= min_score
        number += count + int(shown.sum()) - 2 * int(is_right[shown].sum())
    return number


def _matched(
    examples: Sequence[Example], found: Sequence[Found], label: str, class_id: int
) -> tuple[Floats, Any, int]:
    """Return the scores (N,) of a class's boxes, whether each is right (N,), and the number of objects."""
    scores, is_right, count = [], [], 0
    for example, answer in zip(examples, found, strict=True):
        objects = example.boxes[(example.class_ids == class_id) & example.is_certain]
        mine = [n for n in np.argsort(-answer.scores) if answer.labels[n] == label]
        overlaps = iou(answer.boxes[mine], objects)
        count += len(objects)
        for row, n in zip(overlaps, mine, strict=True):
            hit = len(objects) and row.max() >= SAME_OBJECT_IOU
            if hit:
                overlaps[:, row.argmax()] = -1  # each object is found once
            scores.append(answer.scores[n])
            is_right.append(bool(hit))
    return np.array(scores, np.float32), np.array(is_right, bool), count


def _coco(
    examples: Sequence[Example], found: Sequence[Found], classes: Sequence[str]
) -> tuple[evaluation.Annotations, dict[int, Detections]]:
    annotations: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    answers = {}
    has_masks = bool(examples) and all(one.masks and all(one.masks) for one in examples if len(one.boxes))
    has_masks &= any(answer.masks is not None for answer in found)
    for id, (example, answer) in enumerate(zip(examples, found, strict=True), 1):
        images.append({"id": id, "file_name": example.name, "width": example.width, "height": example.height})
        size = {"width": example.width, "height": example.height}
        for number, (x1, y1, x2, y2) in enumerate(example.boxes.tolist()):
            mask = example.masks[number] if has_masks else None
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": id,
                    "category_id": int(example.class_ids[number]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(not example.is_certain[number]),
                }
                | ({"segmentation": mask.to_rle(**size)} if mask is not None else {})
            )
        known = [n for n, label in enumerate(answer.labels) if label in classes]
        answers[id] = Detections.from_unordered(
            answer.boxes[known],
            answer.scores[known],
            np.array([classes.index(answer.labels[n]) for n in known], np.int64),
            masks=tuple(answer.masks[n] for n in known) if has_masks and answer.masks is not None else None,
            width=example.width,
            height=example.height,
            labels=tuple(classes),
            model="",
        )
    form = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes, 1)],
    }
    return evaluation.Annotations(form, images, has_masks and bool(annotations)), answers


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _logit(score: float) -> float:
    return math.log(score / (1 - score))
