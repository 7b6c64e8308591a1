"""The way from a picture's id to its result: a detection, the mask of a box, how much a model is in doubt."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from flask_detector.detectors.base import BoxOutliner, Detector
from flask_detector.errors import DetectionExpired, NoMaskHead, PictureError, StorageUnavailable
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Pixels
from flask_detector.storage.base import ORIGINAL, Storage
from flask_detector.structures.detections import Detections
from flask_detector.structures.doubt import doubt
from flask_detector.worker.context import WorkerContext

# All instances over this score are kept with the result, so that a user can look below the usual threshold
# without a new detection. 0.05 is the threshold of COCO's evaluation and of both origins of Mask R-CNN.
LOWEST_SCORE = 0.05

# After such a picture memory is given back before anybody is told: whoever draws it next needs some.
_LARGE_PICTURE = 8_000_000

# Storage that can't be read may come back: a picture waits for it for some 25 seconds.
_WAITING_FOR_STORAGE = Retry(ExponentialBackoff(cap=16.0, base=0.05), 8, (StorageUnavailable,))


def detect(
    context: WorkerContext,
    id: str,
    on_stage: Callable[[str], None],
    *,
    model: str,
    min_score: float | None,
    classes: Collection[str] | None = None,
) -> dict[str, Any]:
    """Detect in the picture stored under an id; return the result's JSON form and the usual lowest score.

    on_stage: called as each stage begins, with its name.
    classes: the labels that alone are kept.

    Raises DetectorError when that can't be done, and never will for this picture.
    """
    detector = context.detectors.get(model)
    on_stage("decode")
    data = _picture(context.storage, id)
    start = time.perf_counter()
    pixels = _pixels(context, data, detector)
    decoding = time.perf_counter() - start
    lowest = LOWEST_SCORE if min_score is None else min_score
    found = _found(context, detector, pixels, lowest, on_stage)
    if classes is not None:
        found = found.without(set(found.labels).difference(classes))
    document: dict[str, Any] = found.to_json()
    document["timings_ms"] = {"decode": round(decoding * 1000, 2), **document["timings_ms"]}
    document["shown_score"] = detector.default_min_score if min_score is None else min_score
    context.detectors.ran(found.model, sum(found.timings.values()))
    return document


def mask_of_box(
    context: WorkerContext,
    on_stage: Callable[[str], None],
    *,
    picture: str,
    model: str,
    box: Sequence[float],
    label: str,
    min_score: None,
) -> dict[str, Any]:
    """Return a model's own mask of a box, xyxy, in a picture, as COCO's run lengths.

    picture: the id of the detection that it is of, or its path in the storage.
    label: of the object; where the model does not know it, it decides itself.

    Raises DetectorError as `detect` does, and NoMaskHead.
    """
    detector = context.detectors.get(model)
    if not (isinstance(detector, BoxOutliner) and detector.has_masks):
        raise NoMaskHead(f"The model {detector.name} finds boxes alone.")
    on_stage("decode")
    pixels = _pixels(context, _picture(context.storage, picture), detector)
    class_id = detector.labels.index(label) if label in detector.labels else None
    width, height = pixels.width, pixels.height
    (mask,) = detector.masks_for_boxes(pixels, np.array([box], np.float32), [class_id])
    return {"mask": mask.to_rle(width=width, height=height) if mask.area else None}


def doubt_of_next(
    context: WorkerContext,
    on_stage: Callable[[str], None],
    *,
    collection: str,
    model: str,
    min_score: None,
) -> dict[str, Any]:
    """Find out how much a model is in doubt about the next picture of a collection that is to be looked at.

    Returns how many are left. Raises DetectorError where the model can't be used.
    """
    detector, doubts = context.detectors.get(model), context.doubts
    while (path := doubts.take(collection, model)) is not None:
        on_stage("decode")
        try:
            pixels = _pixels(context, _picture(context.storage, path), detector)
        except (DetectionExpired, PictureError):  # deleted meanwhile, or damaged
            continue
        found = _found(context, detector, pixels, LOWEST_SCORE, on_stage)
        doubts.write(collection, model, path, doubt(found.scores.tolist(), detector.default_min_score))
        break
    return {"left": doubts.left(collection, model)}


def _found(
    context: WorkerContext,
    detector: Detector,
    pixels: Pixels,
    min_score: float,
    on_stage: Callable[[str], None],
) -> Detections:
    found = detector.detect(pixels, min_score=min_score, on_stage=on_stage)
    if found.width * found.height > _LARGE_PICTURE:
        context.detectors.rest()
    return found


def _pixels(context: WorkerContext, data: bytes, detector: Detector) -> Pixels:
    """Return the pixels of a picture's file, as many as the detector makes use of."""
    settings = context.settings
    pixels, _ = decode.load(
        data, Limits.of(settings), max_side=detector.max_side, patience=settings.job_timeout / 2
    )
    return pixels


def _picture(storage: Storage, picture: str) -> bytes:
    def read() -> bytes:
        return storage.read(picture) if "/" in picture else storage.get(picture, ORIGINAL)

    try:
        return _WAITING_FOR_STORAGE.call_with_retry(read, lambda error: None)
    except FileNotFoundError as error:
        raise DetectionExpired("The picture was deleted before it was processed.") from error
