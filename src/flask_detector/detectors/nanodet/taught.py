"""A taught NanoDet-g: alone, or as a pair with the embedded model."""

from pathlib import Path

from flask_detector.detectors.base import Detector
from flask_detector.detectors.nanodet.detector import NanoDet
from flask_detector.detectors.nanodet.layers import graph_of
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.pair import Pair
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.zoo.registry import PAIR


def load_taught(
    folder: Path, *, name: str, threads: int = 1, precision: Precision = Precision.AUTO
) -> Detector:
    """Return the detector of a folder of converted weights; raises CheckpointError."""
    converted = WeightsFile.open(folder)
    taught = NanoDet(
        graph_of(converted.weights), name=name, labels=converted.labels, threads=threads, precision=precision
    )
    if converted.variant != PAIR:
        return taught
    base = NanoDet(threads=threads, precision=precision)
    return Pair(base, taught, name=name, replaces=converted.options.get("replaces", {}))
