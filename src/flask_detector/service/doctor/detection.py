"""Whether the default model runs."""

import time

import numpy as np

from flask_detector.detectors import AUTO, load_detector
from flask_detector.service.doctor.finding import Findings, ok
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
    """Run the model on a grey picture; raises what `load_detector` does."""
    detector = load_detector(AUTO, settings=settings)
    start = time.perf_counter()
    detector.detect(np.full((240, 320, 3), 128, np.uint8))
    yield ok(f"{detector.name} processed a picture in {time.perf_counter() - start:.2f} s.")
