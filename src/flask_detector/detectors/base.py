"""What every detector offers."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from flask_detector.errors import BadParameter, CheckpointError
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

OnStage = Callable[[str], None]


class Detector(Protocol):
    """A loaded model: constructed once, then given one picture after another, from any thread."""

    @property
    def name(self) -> str:
        """The model's name in the table of models."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, by class id."""

    @property
    def has_masks(self) -> bool:
        """Whether its detections have masks."""

    @property
    def default_min_score(self) -> float:
        """The minimum score that is usually shown, as a number in 0..1."""

    @property
    def max_side(self) -> int | None:
        """How many pixels along the long side it makes use of; None for all that there are."""

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what is found in a picture (H, W, 3), RGB, uint8, or in pixels, which are forgotten early.

        min_score: the lowest score to keep, in 0..1; None for the model's default.
        on_stage: called with the name of each stage as it begins.
        """

    def rest(self) -> None:
        """Give back the memory that only a detection needs; the next one takes it again."""


@runtime_checkable
class BoxOutliner(Detector, Protocol):
    """A detector that can also say which pixels of a given box are the object, if `has_masks` says so."""

    def masks_for_boxes(
        self, image: Picture | Pixels, boxes: Floats, class_ids: Sequence[int | None]
    ) -> tuple[Mask, ...]:
        """Return the model's masks of boxes in a picture (H, W, 3), RGB, uint8; they may be empty.

        boxes: (N, 4) float32, xyxy, in pixels of the picture, each of some area within it.
        class_ids: (N,) each one's class; None for one that the model does not know.
        """


class StageClock:
    """Measures the stages of one detection and tells them to whoever listens."""

    def __init__(self, on_stage: OnStage | None = None) -> None:
        self.timings: dict[str, float] = {}
        self._on_stage = on_stage

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent within to the stage of that name."""
        if self._on_stage is not None and name not in self.timings:
            self._on_stage(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start


def check_answers(model: str, *arrays: npt.NDArray[np.float32]) -> None:
    """Raise CheckpointError where a network's answers are no finite numbers: its weights can't be right."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise CheckpointError(
            f"The model {model} answers with values that are no finite numbers.",
            hint="Its training may have diverged; use a checkpoint from before that.",
        )


def checked_score(min_score: float | None, default: float) -> float:
    """Return the lowest score to keep; raises BadParameter for one that is not in 0..1."""
    score = default if min_score is None else min_score
    if not 0 <= score <= 1:
        raise BadParameter(f"The minimum score can't be {score}.", hint="Give a number from 0 to 1.")
    return score


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
