"""How long a picture takes on this machine: a photograph of the package, given to a model a few times."""

import time
from pathlib import Path

from flask_detector.detectors.base import Detector
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

_PICTURE = Path(__file__).parents[1] / "web" / "static" / "example.jpg"
_RUNS = 3

# Of a model that takes so long, no run more says anything that matters.
_LONG_ENOUGH_SECONDS = 2.0


def measure(detector: Detector) -> float:
    """Return the seconds that the model takes for the photograph: the least of three runs behind a first one.

    Where other processes compute at the same time, a run lasts longer than it takes; no longer than the
    processor time of all its threads together would it last without them.
    """
    picture, _ = decode.decode(_PICTURE.read_bytes(), Limits(10**8, 10**8))
    least, total = float("inf"), 0.0
    for run in range(_RUNS + 1):
        start, used = time.perf_counter(), time.process_time()
        detector.detect(picture)
        seconds = min(time.perf_counter() - start, time.process_time() - used)
        total += seconds
        least = min(least, seconds) if run else least
        if run and total > _LONG_ENOUGH_SECONDS:
            break
    detector.rest()
    return least
