"""From the box head's answers to the instances that are found."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding
from flask_detector.detectors.mask_rcnn.proposals import large_enough, moved_apart
from flask_detector.detectors.mask_rcnn.variants import Origin, Traits
from flask_detector.structures import boxes as box_geometry

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Instances:
    """What is found, best first.

    boxes: (N, 4) float32, xyxy, in pixels of the resized picture.
    scores: (N,) float32.
    classes: (N,) int64, without the background: 0 is the first real class.
    """

    boxes: Floats
    scores: Floats
    classes: Ints


def select(
    proposals: Floats,
    logits: Floats,
    deltas: Floats,
    *,
    size: tuple[int, int],
    min_score: float,
    traits: Traits,
) -> Instances:
    """Return the best instances whose score is at least `min_score`: as many as the model's options say.

    proposals: (N, 4). logits: (N, classes with background). deltas: (N, 4 * classes, or with background).
    size: height and width of the resized picture, to which boxes are clipped.
    """
    origin, options, rules = traits.origin, traits.options, traits.origin.rules
    scores = without_background(_softmax(logits), origin)
    # The originals take no candidate into account whose score is not over the option's.
    over = scores > np.float32(options.box_score_thresh)
    candidates = scores >= min_score if min_score < options.box_score_thresh else over
    rows, classes = np.nonzero(candidates)
    per_class = deltas.reshape(len(deltas), deltas.shape[1] // 4, 4)
    chosen = per_class[rows, classes + rules.background_first]
    chosen = chosen * np.array(box_coding.BOX_DELTA_STDS, np.float32)
    boxes = box_coding.decode(proposals[rows], chosen, origin)
    boxes = box_geometry.clip(boxes, width=size[1], height=size[0])
    found = scores[rows, classes]
    if rules.min_box_side is not None:
        large = large_enough(boxes, rules.min_box_side)
        boxes, found, classes = boxes[large], found[large], classes[large]
    placed = moved_apart(boxes, classes + rules.background_first, origin)
    kept = box_geometry.nms_per_class(
        placed, found, classes, options.box_nms_thresh, options.box_detections_per_img
    )
    kept = kept[found[kept] >= min_score]
    return Instances(boxes[kept], found[kept], classes[kept])


def without_background(values: Floats, origin: Origin) -> Floats:
    """Return the columns of the real classes of (N, classes with background)."""
    return values[:, 1:] if origin.rules.background_first else values[:, :-1]


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scores
