"""From the box head's answers to the instances that are found."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding
from flask_detector.detectors.mask_rcnn.proposals import TORCHVISION_ONE_SUPPRESSION
from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.structures import boxes as box_geometry

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MAX_INSTANCES = 100

# The origins take no candidate into account whose score is not over this.
CANDIDATE_SCORE = 0.05

_IOU_THRESHOLD = 0.5
_TORCHVISION_MIN_SIDE = 1e-2


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
    origin: Origin,
) -> Instances:
    """Return the at most 100 best instances whose score is at least `min_score`.

    proposals: (N, 4). logits: (N, classes with background). deltas: (N, 4 * classes, or with background).
    size: height and width of the resized picture, to which boxes are clipped.
    """
    background_first = origin is Origin.TORCHVISION
    scores = _softmax(logits)
    scores = scores[:, 1:] if background_first else scores[:, :-1]
    candidate_score = np.float32(CANDIDATE_SCORE)
    candidates = scores >= min_score if min_score < CANDIDATE_SCORE else scores > candidate_score
    rows, classes = np.nonzero(candidates)
    per_class = deltas.reshape(len(deltas), -1, 4)
    chosen = per_class[rows, classes + background_first] * np.array(box_coding.BOX_DELTA_STDS, np.float32)
    boxes = box_coding.decode(proposals[rows], chosen, origin)
    boxes = box_geometry.clip(boxes, width=size[1], height=size[0])
    found = scores[rows, classes]
    if background_first:
        large = (boxes[:, 2:] - boxes[:, :2] >= np.float32(_TORCHVISION_MIN_SIDE)).all(axis=1)
        boxes, found, classes = boxes[large], found[large], classes[large]
    together = origin is Origin.MMDET or len(boxes) <= TORCHVISION_ONE_SUPPRESSION
    placed = box_coding.apart(boxes, classes + background_first) if together else boxes
    kept = box_geometry.nms_per_class(placed, found, classes, _IOU_THRESHOLD, MAX_INSTANCES)
    kept = kept[found[kept] >= min_score]
    return Instances(boxes[kept], found[kept], classes[kept])


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scores
