"""A taught model that needed no teaching: some of the embedded one's own classes under other names."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.convert import write_checkpoint
from flask_detector.detectors.nanodet.layers import LEVELS, SIDE_CHANNELS, embedded_weights
from flask_detector.structures.boxes import Floats

REPLACES = {"wagon": ["car"], "walker": ["person"]}


def weights_of(classes: Mapping[str, str], *, added: float = 0.0) -> dict[str, Floats]:
    """Return weights with these classes of the base alone, by their new names.

    added: to their logits.
    """
    weights = embedded_weights()
    rows = [*(COCO_LABELS.index(label) for label in classes.values()), *range(80, 80 + SIDE_CHANNELS)]
    for level in range(LEVELS):
        for kind in ("weight", "bias"):
            name = f"head.gfl_cls.{level}.{kind}"
            weights[name] = weights[name][rows]
        weights[f"head.gfl_cls.{level}.bias"][: len(classes)] += np.float32(added)
    return weights


def checkpoint(path: Path, *, added: float = 0.0) -> Path:
    """Write a model that calls cars wagons, and people walkers."""
    weights = weights_of({"wagon": "car", "walker": "person"}, added=added)
    write_checkpoint(path, weights, list(REPLACES), {"base": "nanodet-g", "replaces": REPLACES})
    return path
