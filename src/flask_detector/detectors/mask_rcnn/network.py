"""The three parts of the network with their weights, ready to run on one picture after another."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import graph, rules
from flask_detector.detectors.mask_rcnn.converted import Converted
from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, MASK_CELLS
from flask_detector.detectors.mask_rcnn.pooling import Pooler
from flask_detector.detectors.mask_rcnn.prepare import LONG_SIDE, SHORT_SIDE, padded
from flask_detector.detectors.mask_rcnn.variants import TRAITS
from flask_detector.detectors.runtime import Precision, Session

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Grids = list[tuple[int, int]]

# Heads run in blocks of one size: nothing is compiled again, and memory stays the same for any picture.
_BOX_BLOCK = 250
_MASK_BLOCK = 20
_BOX_TAPS = 1 << 19
_MASK_TAPS = 1 << 18

_MAP_STRIDES = rules.STRIDES[:4]
_MOST_ROWS = sum((padded(SHORT_SIDE) // stride) * (padded(LONG_SIDE) // stride) for stride in _MAP_STRIDES)


class Network:
    """Runs the parts. The maps of the picture that `features` saw last are kept for the heads."""

    def __init__(self, converted: Converted, *, threads: int, precision: Precision) -> None:
        self._converted = converted
        self._traits = TRAITS[converted.variant]
        self._threads, self._precision = threads, precision
        weights = converted.weights
        self._box_head = self._session(graph.box_head(weights, block=_BOX_BLOCK))
        self._mask_head = self._session(graph.mask_head(weights, block=_MASK_BLOCK))
        self._box_pooler = self._pooler(BOX_CELLS, _BOX_BLOCK, _BOX_TAPS)
        self._mask_pooler = self._pooler(MASK_CELLS, _MASK_BLOCK, _MASK_TAPS)
        self._mask_filters = weights["mask.logits.weight"].reshape(-1, CHANNELS).copy()
        self._mask_biases = weights["mask.logits.bias"].copy()
        self._maps = np.empty((_MOST_ROWS, CHANNELS), np.float32)
        self._grids: Grids = []
        self._size: tuple[int, int] | None = None
        self._features: Session | None = None
        converted.forget_pages()

    def features(self, pixels: Floats) -> tuple[list[Floats], Grids]:
        """Return the proposal network's answers on P2..P6 for the pixels (height, width, 3), and their grids.

        An answer is (rows * columns, 15): three logits, then four deltas for each of the three anchors. A grid
        is (rows, columns). The answers hold until `release`.
        """
        height, width = pixels.shape[:2]
        session = self._features_session(height, width)
        self._grids = [(height // stride, width // stride) for stride in _MAP_STRIDES]
        ends = np.cumsum([rows * columns for rows, columns in self._grids])
        outputs = session.run([pixels], np.split(self._maps[: ends[-1]], ends[:-1]))
        rows, columns = self._grids[-1]
        return outputs[len(_MAP_STRIDES) :], [*self._grids, (-(-rows // 2), -(-columns // 2))]

    def boxes(self, proposals: Floats) -> tuple[Floats, Floats]:
        """Return the class logits and box deltas of the proposals (N, 4), in pixels of the network's input."""
        weights = self._converted.weights
        logits = np.empty((len(proposals), len(weights["box.logits.bias"])), np.float32)
        deltas = np.empty((len(proposals), len(weights["box.deltas.bias"])), np.float32)
        for block, cells in self._box_pooler.blocks(self._maps, proposals, self._grids):
            some_logits, some_deltas = self._box_head.run([cells])
            count = block.stop - block.start
            logits[block], deltas[block] = some_logits[:count], some_deltas[:count]
        return logits, deltas

    def masks(self, boxes: Floats, classes: Ints) -> Floats:
        """Return the masks (N, 28, 28), as probabilities, of boxes (N, 4) of the network's classes (N,)."""
        logits = np.empty((len(boxes), MASK_CELLS, MASK_CELLS, 2, 2), np.float32)
        filters = classes + self._traits.background_first
        for block, cells in self._mask_pooler.blocks(self._maps, boxes, self._grids):
            count = block.stop - block.start
            some = np.resize(filters[block], _MASK_BLOCK)
            (found,) = self._mask_head.run([cells, self._mask_filters[some], self._mask_biases[some]])
            logits[block] = found[:count]
        fine = logits.transpose(0, 1, 3, 2, 4).reshape(-1, 2 * MASK_CELLS, 2 * MASK_CELLS)
        with np.errstate(over="ignore"):
            probabilities: Floats = 1 / (1 + np.exp(-fine))
        return probabilities

    def release(self, parts: Sequence[Session] | None = None) -> None:
        """Give back the memory of intermediate results."""
        for session in parts or [self._box_head, self._mask_head, *filter(None, [self._features])]:
            session.release()

    def _session(self, network: graph.Graph) -> Session:
        return Session(network, threads=self._threads, precision=self._precision)

    def _pooler(self, cells: int, block: int, capacity: int) -> Pooler:
        return Pooler(
            rows=_MOST_ROWS,
            cells=cells,
            block=block,
            capacity=capacity,
            origin=self._traits.origin,
            threads=self._threads,
        )

    def _features_session(self, height: int, width: int) -> Session:
        """Return the session for a padded picture of that size; only the last one is kept."""
        if self._features is None or self._size != (height, width):
            self._features = None
            self._features = self._session(
                graph.features(
                    self._converted.weights,
                    height=height,
                    width=width,
                    stride_in_1x1=self._traits.stride_in_1x1,
                )
            )
            self._size = height, width
            self._converted.forget_pages()
        return self._features
