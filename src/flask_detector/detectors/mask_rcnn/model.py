"""Mask R-CNN as a detector: the way of a picture through its stages."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.base import OnStage, StageClock, check_answers, checked_score, usable_cores
from flask_detector.detectors.mask_rcnn.fold_batchnorm import with_epsilon
from flask_detector.detectors.mask_rcnn.paste_masks import paste
from flask_detector.detectors.mask_rcnn.postprocess import select, without_background
from flask_detector.detectors.mask_rcnn.preprocess import Prepared, padded_size, prepare
from flask_detector.detectors.mask_rcnn.proposals import propose
from flask_detector.detectors.mask_rcnn.runner import Network
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Origin, Variant
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

Floats = npt.NDArray[np.float32]


class MaskRCNN:
    """Mask R-CNN R-50 FPN of any of its variants; see the Detector protocol.

    folder: of converted weights, as `convert` makes it.
    threads: of one detection; 0 for as many as there are cores to use.
    variant: to read the weights as those of another one with the same layers.

    Raises CheckpointError where the folder holds no converted weights.
    """

    has_masks = True
    default_min_score = 0.5
    # The originals resize the picture as it is, and so does this.
    max_side = None

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        threads: int = 0,
        precision: Precision = Precision.AUTO,
        variant: Variant | None = None,
    ) -> None:
        converted = WeightsFile.open(folder)
        self.name = name
        self.labels = converted.labels
        self.precision = precision.resolved()
        folded, traits = TRAITS[Variant(converted.variant)], TRAITS[variant or Variant(converted.variant)]
        if folded.norm_epsilon != traits.norm_epsilon:
            weights = with_epsilon(converted.weights, folded=folded.norm_epsilon, epsilon=traits.norm_epsilon)
            converted = replace(converted, weights=weights)
        self._traits = replace(traits, options=traits.options.changed(converted.options))
        self._classes = np.array(converted.classes, np.int64)
        self._network = Network(
            converted, self._traits, threads=threads or usable_cores(), precision=self.precision
        )
        self._one_at_a_time = threading.Lock()

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what is found in a picture (H, W, 3), RGB, uint8, or in pixels: at most 100 instances.

        The stages are prepare, features, proposals, boxes, masks and paste.

        min_score: the lowest score to keep, in 0..1; None for 0.5. Under 0.05 it also asks for candidates
        that the original implementations leave out.
        """
        least = checked_score(min_score, self.default_min_score)
        with self._one_at_a_time:
            return self._detect(Pixels.of(image), least, StageClock(on_stage))

    def masks_for_boxes(
        self, image: Picture | Pixels, boxes: Floats, class_ids: Sequence[int | None]
    ) -> tuple[Mask, ...]:
        """Return the mask head's masks of boxes, each by its class's own filter; see BoxOutliner.

        Where the model does not know the class it is the one that the box head likes best.
        """
        with self._one_at_a_time:
            prepared = self._look_at(Pixels.of(image), StageClock())
            self._network.proposals()  # in bfloat16 the heads can read the maps only after it
            resized = boxes / _in_picture(np.ones_like(boxes), prepared, self._traits.origin)
            classes = np.array(
                [-1 if id is None else np.flatnonzero(self._classes == id)[0] for id in class_ids], np.int64
            )
            if (classes < 0).any():
                logits, _ = self._network.boxes(resized)
                best = without_background(logits, self._traits.origin).argmax(axis=1)
                classes = np.where(classes < 0, best, classes)
            return self._pasted(self._network.masks(resized, classes), boxes, prepared)

    def rest(self) -> None:
        """Do nothing: each stage has given back its memory."""

    def _detect(self, pixels: Pixels, min_score: float, clock: StageClock) -> Detections:
        prepared = self._look_at(pixels, clock)
        with clock.stage("proposals"):
            answers, grids = self._network.proposals()
            check_answers(self.name, *answers)
            padded = prepared.pixels.shape[0], prepared.pixels.shape[1]
            proposals, _ = propose(answers, grids, size=prepared.size, padded=padded, traits=self._traits)
        with clock.stage("boxes"):
            logits, deltas = self._network.boxes(proposals)
            check_answers(self.name, logits, deltas)
            found = select(
                proposals, logits, deltas, size=prepared.size, min_score=min_score, traits=self._traits
            )
        with clock.stage("masks"):
            probabilities = self._network.masks(found.boxes, found.classes)
        with clock.stage("paste"):
            height, width = prepared.original
            boxes = _in_picture(found.boxes, prepared, self._traits.origin)
            masks = self._pasted(probabilities, boxes, prepared)
        return Detections.from_unordered(
            boxes,
            np.minimum(found.scores, 1),
            self._classes[found.classes],
            masks=masks,
            width=width,
            height=height,
            labels=self.labels,
            model=self.name,
            timings=clock.timings,
        )

    def _look_at(self, pixels: Pixels, clock: StageClock) -> Prepared:
        """Make the maps that all else is read from."""
        # Both take one core: compiling for a size of picture that is new, and making the picture smaller.
        with clock.stage("prepare"), ThreadPoolExecutor(1) as other_core:
            compiled = other_core.submit(self._network.compile_for, padded_size(pixels, self._traits))
            prepared = prepare(pixels, self._traits, dtype=self._network.pixel_type)
            pixels.forget()
            compiled.result()
        with clock.stage("features"):
            self._network.features(prepared.pixels)
        return prepared

    def _pasted(self, probabilities: Floats, boxes: Floats, prepared: Prepared) -> tuple[Mask, ...]:
        """Return masks (N, 28, 28) at their boxes (N, 4) in the picture."""
        height, width = prepared.original
        return tuple(
            paste(mask, box, width=width, height=height, origin=self._traits.origin)
            for mask, box in zip(probabilities, boxes, strict=True)
        )


def _in_picture(boxes: Floats, prepared: Prepared, origin: Origin) -> Floats:
    """Return boxes of the resized picture in pixels of the picture itself, not clipped."""
    resized = np.array([prepared.size[1], prepared.size[0]] * 2, np.float32)
    original = np.array([prepared.original[1], prepared.original[0]] * 2, np.float32)
    if origin is Origin.MMDET:
        return boxes / (resized / original)
    return boxes * (original / resized)
