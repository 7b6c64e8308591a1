"""RTMDet and RTMDet-Ins as a detector: the way of a picture through its stages."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from flask_detector.detectors.base import OnStage, StageClock, check_answers, checked_score, usable_cores
from flask_detector.detectors.openvino_runtime import Precision, Session
from flask_detector.detectors.rtmdet.architecture import LOGARITHMS, architecture_of
from flask_detector.detectors.rtmdet.build_graph import network
from flask_detector.detectors.rtmdet.masks import MaskScaler, mask_logits
from flask_detector.detectors.rtmdet.postprocess import BOX_RULES, MASK_RULES, Cells, cells_for_boxes, select
from flask_detector.detectors.rtmdet.preprocess import Letterboxed, letterbox
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.errors import CheckpointError
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.structures.boxes import Floats, Ints
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

# From here on a picture's own memory counts.
_LARGE_PIXELS = 4_000_000


class RTMDet:
    """RTMDet or RTMDet-Ins of any size; see the Detector protocol.

    folder: of converted weights, as `convert` makes it.
    threads: of one detection; 0 for as many as there are cores to use.

    Raises CheckpointError where the folder holds no converted weights of it.
    """

    default_min_score = 0.3
    # The original resizes the picture as it is, and so does this.
    max_side = None

    def __init__(
        self, folder: Path, *, name: str, threads: int = 0, precision: Precision = Precision.AUTO
    ) -> None:
        converted = WeightsFile.open(folder)
        architecture = architecture_of(
            {name: array.shape for name, array in converted.weights.items()},
            predicts_logarithms=converted.variant == LOGARITHMS,
        )
        if architecture is None:
            raise CheckpointError(
                f"The converted weights in {folder} are not those of RTMDet.",
                hint="Remove the folder to convert again.",
            )
        self.name = name
        self.labels = converted.labels
        self.has_masks = architecture.has_masks
        usual = MASK_RULES if self.has_masks else BOX_RULES
        rules = {name: value for name, value in converted.options.items() if hasattr(usual, name)}
        self._rules = replace(usual, **rules)
        self.precision = precision.resolved()
        with converted.forgetting():
            self._session = Session(
                network(converted.weights, architecture),
                threads=threads or usable_cores(),
                precision=self.precision,
            )
        # To compile takes much that nobody needs afterwards.
        give_back_unused()
        give_back_code()
        self._one_at_a_time = threading.Lock()

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what is found in a picture (H, W, 3), RGB, uint8, or in pixels.

        That is at most 100 instances with masks, or 300 without.

        The stages are prepare, network, select and, with masks, masks.

        min_score: the lowest score to keep, in 0..1; None for 0.3.

        Raises BadParameter when min_score is not in 0..1.
        """
        least = checked_score(min_score, self.default_min_score)
        with self._one_at_a_time:
            clock = StageClock(on_stage)
            return self._found(*self._look_at(Pixels.of(image), clock), least, clock)

    def masks_for_boxes(
        self, image: Picture | Pixels, boxes: Floats, class_ids: Sequence[int | None]
    ) -> tuple[Mask, ...]:
        """Return masks of boxes; see BoxOutliner. Each is the one of the cell that tells most of the box.

        A mask of RTMDet-Ins belongs to a cell, not to a box: the convolutions that make it are that cell's.
        """
        with self._one_at_a_time:
            prepared, (scores, distances, *of_masks) = self._look_at(Pixels.of(image), StageClock())
            cells = cells_for_boxes(scores, distances, boxes, class_ids, scale=prepared.scale)
            return self._masks(cells, of_masks, prepared)

    def prepare(self, pixels: Pixels) -> Picture:
        """Return the picture (H, W, 3) in the size in which the network sees it."""
        return letterbox(pixels).content

    def find_in(
        self, picture: Picture, width: int, height: int, min_score: float, clock: StageClock
    ) -> Detections:
        """Return what is found in a prepared picture, in pixels of the original of that width and height."""
        with self._one_at_a_time:
            prepared = Letterboxed.of(picture, width, height)
            return self._found(prepared, self._answers(prepared, clock), min_score, clock)

    def rest(self) -> None:
        """Give back the memory of the network's intermediate results."""
        with self._one_at_a_time:
            self._session.release()

    def _found(
        self, prepared: Letterboxed, answers: Sequence[Floats], min_score: float, clock: StageClock
    ) -> Detections:
        scores, distances, *of_masks = answers
        with clock.stage("select"):
            found = select(scores, distances, self._rules, scale=prepared.scale, min_score=min_score)
        masks = None
        if self.has_masks:
            with clock.stage("masks"):
                masks = self._masks(found.cells, of_masks, prepared)
        return Detections.from_unordered(
            found.boxes,
            np.minimum(found.scores, 1),
            found.class_ids,
            masks=masks,
            width=prepared.width,
            height=prepared.height,
            labels=self.labels,
            model=self.name,
            timings=clock.timings,
        )

    def _look_at(self, pixels: Pixels, clock: StageClock) -> tuple[Letterboxed, list[Floats]]:
        """Return the network's input and its answers."""
        if pixels.rows * pixels.columns > _LARGE_PIXELS:
            # Together with what the network left of the picture before it would be too much.
            self._session.release()
            give_back_unused()
            give_back_code()
        with clock.stage("prepare"):
            prepared = letterbox(pixels)
            pixels.forget()
        return prepared, self._answers(prepared, clock)

    def _answers(self, prepared: Letterboxed, clock: StageClock) -> list[Floats]:
        with clock.stage("network"):
            answers = self._session.run([prepared.pixels])
            check_answers(self.name, *answers[:2])
        return answers

    def _masks(self, chosen: Ints, answers: Sequence[Floats], prepared: Letterboxed) -> tuple[Mask, ...]:
        """Return the masks of cells (N,), of the kernels and the features that the network answers with."""
        kernels, features = answers
        cells = Cells.of_network()
        logits = mask_logits(features, kernels[chosen], cells.points[chosen], cells.strides[chosen])
        scaler = MaskScaler(width=prepared.width, height=prepared.height, scale=prepared.scale)
        return tuple(scaler.mask(one) for one in logits)
