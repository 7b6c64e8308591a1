"""Whether a model that was just converted works: it detects in a picture that is part of the program."""

from importlib import resources
from pathlib import Path

import numpy as np

from flask_detector.detectors.base import Detector
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.weights_file import architecture_in
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

_SMALL = Limits(1 << 20, 1 << 20)


def check(graphs: Path) -> None:
    """Have the converted weights in a folder detect in the built-in picture, in single precision.

    Raises CheckpointError where the folder holds no model, or one whose answers are no finite numbers.
    """
    picture = resources.files("flask_detector") / "web" / "static" / "example-small.jpg"
    pixels, _ = decode.decode(picture.read_bytes(), _SMALL)
    kind = RTMDet if architecture_in(graphs).startswith("rtmdet") else MaskRCNN
    detector: Detector = kind(graphs, name="trial", precision=Precision.FLOAT32)
    detector.detect(np.ascontiguousarray(pixels), min_score=0.05)
