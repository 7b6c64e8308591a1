"""NanoDet-g, the small detector that comes with this package: boxes of COCO's 80 classes, or of taught ones.

Source: RangiLyu/nanodet, config/legacy_v0.x_configs/nanodet-g.yml and nanodet/model/head/gfl_head.py. Where
the weights come from is told in data/NOTICE; the graph's inputs and outputs, in tools/convert_nanodet.py.
"""

from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from flask_detector.detectors.base import OnStage, StageClock, check_answers, checked_score
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.layers import EMBEDDED_MODEL
from flask_detector.detectors.openvino_runtime import Graph, Precision, Session, read_graph
from flask_detector.errors import CheckpointError
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures import boxes as box_geometry
from flask_detector.structures.boxes import Floats, Ints
from flask_detector.structures.detections import Detections

# The network was trained at 416; of the sides from 416 to 640, none was better on samples of COCO val.
LONG_SIDE = 512
STRIDES = (8, 16, 32)
# More candidates did not change the AP, even where 6000 were over the threshold.
MAX_CANDIDATES = 1000
IOU_THRESHOLD = 0.5
MAX_DETECTIONS = 100


class NanoDet:
    """The detector, see `flask_detector.detectors.base.Detector`.

    source: a graph, or the .xml or .onnx file of one, as tools/convert_nanodet.py writes it.
    labels: the names of its classes.
    threads: how many the network may use. On busy cores two were slower than one.
    precision: bfloat16 takes about half the time of float32 and had the same AP on a sample of COCO val.

    Raises CheckpointError when the file can't be read.
    """

    has_masks = False
    # Where F1 was best on a sample of COCO val.
    default_min_score = 0.35
    # The filter that resizes pictures averages blocks of pixels down to about this size first. On 50 pictures
    # of COCO val, enlarged 3.3 to 8 times (JPEG, quality 85 and 92), AP was at most 0.0024 lower than with
    # all pixels, and elsewhere higher; with 3 * LONG_SIDE at most 0.0013, for four times the memory.
    max_side = 2 * LONG_SIDE

    def __init__(
        self,
        source: Path | Graph = EMBEDDED_MODEL,
        *,
        name: str = "nanodet-g",
        labels: tuple[str, ...] = COCO_LABELS,
        threads: int = 1,
        precision: Precision = Precision.AUTO,
    ) -> None:
        self.name, self.labels = name, labels
        try:
            graph = read_graph(source) if isinstance(source, Path) else source
        except RuntimeError as error:
            raise CheckpointError(f"The model file {source} can't be read.") from error
        self._session = Session(graph, threads=threads, precision=precision)
        self._lock = Lock()

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what is found in a picture (H, W, 3), RGB, uint8, or in pixels: at most 100 boxes.

        min_score: the lowest score to keep, in 0..1; None for `default_min_score`.
        on_stage: called with "prepare", "network" and "select" as each begins.

        Raises BadParameter when min_score is not in 0..1.
        """
        min_score = checked_score(min_score, self.default_min_score)
        clock = StageClock(on_stage)
        pixels = Pixels.of(image)
        with clock.stage("prepare"):
            picture = self.prepare(pixels)
            pixels.forget()
        return self.find_in(picture, pixels.width, pixels.height, min_score, clock)

    def prepare(self, pixels: Pixels) -> Picture:
        """Return the picture (H, W, 3) as the network sees it."""
        return resize(pixels, *network_size(pixels.width, pixels.height))

    def find_in(
        self, picture: Picture, width: int, height: int, min_score: float, clock: StageClock
    ) -> Detections:
        """Return what is found in a prepared picture, in pixels of the original of that width and height."""
        network_height, network_width = picture.shape[:2]
        # What the session returns is its own memory, good until it runs again.
        with self._lock:
            with clock.stage("network"):
                scores, sides = self._session.run([picture[None]])
            with clock.stage("select"):
                check_answers(self.name, scores)
                cells, class_ids, scores = best_candidates(scores, min_score)
                # Half of the candidates are further classes of a cell.
                distinct, rows = np.unique(cells, return_inverse=True)
                boxes = decode(sides[distinct], distinct, network_width, network_height)[rows]
                boxes *= np.array([width / network_width, height / network_height] * 2, np.float32)
                boxes = box_geometry.clip(boxes, width=width, height=height)
                kept = box_geometry.nms_per_class(boxes, scores, class_ids, IOU_THRESHOLD, MAX_DETECTIONS)
        return Detections(
            width=width,
            height=height,
            boxes=boxes[kept],
            scores=scores[kept],
            class_ids=class_ids[kept],
            labels=self.labels,
            model=self.name,
            timings=clock.timings,
        )

    def rest(self) -> None:
        """Give back the memory of the network's intermediate results."""
        with self._lock:
            self._session.release()


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height in which the network sees a picture of that size.

    The long side becomes 512, and the aspect stays as it is as far as multiples of 32 allow.
    """
    step = STRIDES[-1]
    scale = LONG_SIDE / max(width, height) / step
    return max(1, round(width * scale)) * step, max(1, round(height * scale)) * step


def resize(image: Picture | Pixels, width: int, height: int) -> Picture:
    """Return the picture (H, W, 3) in that size, as Pillow's bilinear filter makes it."""
    return np.array(Pixels.of(image).resized(width, height, Image.Resampling.BILINEAR))


def best_candidates(scores: Floats, min_score: float) -> tuple[Ints, Ints, Floats]:
    """Return the cells, the classes and the scores of the best 1000 of all (P, C) from `min_score` on."""
    flat = scores.ravel()
    places = np.flatnonzero(flat >= min_score)
    places = places[np.argsort(-flat[places], kind="stable")[:MAX_CANDIDATES]]
    cells, class_ids = np.divmod(places, scores.shape[1])
    return cells, class_ids, flat[places]


def decode(sides: Floats, cells: Ints, width: int, height: int) -> Floats:
    """Return the boxes (N, 4), xyxy, in pixels of the network's picture of that width and height.

    sides: (N, 44) the logits of 11 distances, 0 to 10 strides, to the left, top, right and bottom side.
    cells: (N,) which rows of the network's outputs they are.

    A distance is the mean of the 11 under the softmax of their logits, measured from the centre of the cell.
    Source: Li et al., Generalized Focal Loss, 2020, arXiv:2006.04388, section 3.
    """
    logits = sides.reshape(len(sides), 4, 11)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    distances = weights @ np.arange(11, dtype=np.float32) / weights.sum(axis=2)
    centres, strides = _grid(width, height)
    signs = np.array([-1, -1, 1, 1], np.float32)
    boxes: Floats = np.tile(centres[cells], 2) + signs * distances * strides[cells, None]
    return boxes


@lru_cache(maxsize=8)
def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    """Return the centres (P, 2) and the strides (P,) of all cells, in the order of the network's rows."""
    grids = [np.mgrid[: height // stride, : width // stride].reshape(2, -1).T[:, ::-1] for stride in STRIDES]
    strides = np.repeat(np.array(STRIDES, np.float32), [len(grid) for grid in grids])
    centres: Floats = (np.concatenate(grids).astype(np.float32) + np.float32(0.5)) * strides[:, None]
    return centres, strides
