"""A worker whose model finds a hundred outlined objects in every picture, whatever it shows.

The pages are measured and tested with it: no real picture is as hard to show. With the settings of an
installation in the environment, `python benchmarks/crowd.py [SECONDS [RESULT]]` works its queue off and ends;
so many seconds each picture takes. RESULT is a file with a result in our JSON, found in place of the crowd.
"""

import json
import sys
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np

from flask_detector.broker.connection import connect
from flask_detector.detectors import loaded
from flask_detector.detectors.base import OnStage, StageClock
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap, Mask
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.rq_worker import DetectionWorker

NUMBER = 100


class CrowdDetector:
    """Finds the same crowd in all pictures of one size, whatever the lowest score."""

    name = "nanodet-g"  # which it stands in for: a worker looks its model up in the table
    labels = COCO_LABELS
    has_masks = True
    default_min_score = 0.5
    max_side = None

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return NUMBER blobs with scores from 0.99 to 0.5, or what the file says."""
        with StageClock(on_stage).stage("features"):
            time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
            pixels = Pixels.of(image)
            if len(sys.argv) > 2:
                return Detections.from_json(json.loads(Path(sys.argv[2]).read_text()))
            return crowd(pixels.width, pixels.height)

    def rest(self) -> None:
        """Give nothing back: there is nothing."""


def crowd(width: int, height: int) -> Detections:
    """Return the crowd in a picture of that size: each a twentieth to a fifth of its shorter side."""
    random = np.random.default_rng(4)
    shorter = min(width, height)
    sides = random.uniform(shorter / 20, shorter / 5, (NUMBER, 2)).clip(1)
    corners = random.uniform(0, 1, (NUMBER, 2)) * (np.array([width, height]) - sides)
    boxes = np.hstack([corners, corners + sides]).astype(np.float32)
    return Detections.from_unordered(
        boxes,
        np.linspace(0.99, 0.5, NUMBER, dtype=np.float32),
        random.integers(0, 12, NUMBER),
        masks=tuple(_mask(box, random) for box in boxes.astype(int)),
        width=width,
        height=height,
        labels=COCO_LABELS,
        model=CrowdDetector.name,
    )


def _mask(box: Collection[int], random: np.random.Generator) -> Mask:
    x1, y1, x2, y2 = box
    return Mask.from_bitmap(_blob(max(x2 - x1, 1), max(y2 - y1, 1), random), x=int(x1), y=int(y1))


def _blob(width: int, height: int, random: np.random.Generator) -> Bitmap:
    """Return a round shape with a wavy border and, in some, a hole."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle, distance = np.arctan2(y, x), np.hypot(x, y)
    border = 0.8 + 0.15 * np.sin(angle * random.integers(3, 9) + random.uniform(0, 6))
    inside: Bitmap = (distance < border) & (distance > random.choice([0.0, 0.0, 0.25]))
    return inside


def main() -> None:
    """Work the queue off."""
    settings = Settings.from_environment()
    connection = connect(settings.required_redis_url)
    loaded.load_detector = lambda *_, **__: CrowdDetector()  # type: ignore[attr-defined]  # it imports that
    context = WorkerContext.of(settings, connection, open_storage(settings))
    DetectionWorker(context).work(burst=True, logging_level="WARNING")


if __name__ == "__main__":
    main()
