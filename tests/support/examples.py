"""Pictures to learn from, without a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flask_detector.teach.examples import Example, Found, TrainingData

NOTHING = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), [])


def example(
    name: str,
    *objects: tuple[int, Sequence[float]],
    split: str | None = None,
    file: Path = Path(),
    look: int = 0,
) -> Example:
    """Return a picture of 100x80 with objects of these classes and boxes; those of another look differ."""
    return Example(
        name,
        file,
        100,
        80,
        np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        np.array([class_id for class_id, _ in objects], np.int64),
        np.ones(len(objects), bool),
        NOTHING,
        split,
        np.random.default_rng(look).random(64) < 0.5,
    )


def data(*examples: Example, classes: tuple[str, ...] = ("brick", "tile")) -> TrainingData:
    """Return them as training data."""
    return TrainingData(classes, examples, {name: [] for name in classes}, "0", (), 0.35)


def found(*objects: tuple[str, float, Sequence[float]]) -> Found:
    """Return what a model finds: labels, scores and boxes."""
    return Found(
        np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in objects], np.float32),
        [label for label, _, _ in objects],
    )
