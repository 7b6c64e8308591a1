"""The three parts of the network with their weights, ready to run on one picture after another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding, build_graph
from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, MASK_CELLS
from flask_detector.detectors.mask_rcnn.preprocess import padded
from flask_detector.detectors.mask_rcnn.roi_pooler import Pooler
from flask_detector.detectors.mask_rcnn.row_buffer import Table
from flask_detector.detectors.mask_rcnn.variants import Traits
from flask_detector.detectors.openvino_runtime import Array, Graph, Precision, Session
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.process.memory import give_back_code, give_back_large_blocks, give_back_unused

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Grids = list[tuple[int, int]]

# Heads run in blocks of one size: nothing is compiled again, and memory stays the same for any picture.
_BOX_BLOCK = 250
_MASK_BLOCK = 20
_BOX_TAPS = 1 << 18
_MASK_TAPS = 1 << 17

_WIDENED_AT_ONCE = 512

_MAP_STRIDES = box_coding.STRIDES[:4]


class Network:
    """Runs the parts. The maps of the picture that `features` saw last are kept for the heads."""

    def __init__(self, converted: WeightsFile, traits: Traits, *, threads: int, precision: Precision) -> None:
        give_back_large_blocks()
        self._converted = converted
        self._traits = traits
        self._threads, self._precision = threads, precision
        weights = converted.weights
        self._box_head = self._session(build_graph.box_head(weights, block=_BOX_BLOCK))
        self._mask_head = self._session(build_graph.mask_head(weights, block=_MASK_BLOCK))
        sides = padded(traits.options.min_size), padded(traits.options.max_size)
        most = sum((sides[0] // stride) * (sides[1] // stride) for stride in _MAP_STRIDES)
        self._maps = Table(most, CHANNELS)
        # What computes in bfloat16 gives and takes maps in it: they need half the room while that runs.
        self._halved = precision is Precision.BFLOAT16
        self._box_pooler = self._pooler(BOX_CELLS, _BOX_BLOCK, _BOX_TAPS)
        self._mask_pooler = self._pooler(MASK_CELLS, _MASK_BLOCK, _MASK_TAPS)
        self._mask_filters = weights["mask.logits.weight"].reshape(-1, CHANNELS).copy()
        self._mask_biases = weights["mask.logits.bias"].copy()
        self._grids: Grids = []
        self._body: _Body | None = None
        converted.forget_pages()

    @property
    def pixel_type(self) -> type[np.floating]:
        """The type in which it takes pixels."""
        return np.float16 if self._precision is Precision.BFLOAT16 else np.float32

    def features(self, pixels: npt.NDArray[np.floating]) -> None:
        """Make the maps of the pixels (height, width, 3), which all else is read from."""
        height, width = pixels.shape[:2]
        if self._body is None or self._body.size != (height, width):
            # The old one goes first: both at once would need twice the memory.
            self._body = None
            with self._converted.forgetting():
                self._body = self._compiled_body(height, width)
            # To compile takes much more code than to compute.
            give_back_code()
        give_back_unused()
        self._body.features.run([pixels.reshape(-1, 3)], self._body.levels)
        self._body.features.release()

    def proposals(self) -> tuple[list[Floats], Grids]:
        """Return the proposal network's answers on P2..P6, and the rows and columns of these.

        An answer is (rows * columns, 15): three logits, then four deltas for each of the three anchors.
        """
        if self._body is None:
            raise RuntimeError("there is no picture yet")
        answers = [answer.copy() for answer in self._body.proposals.run(self._body.levels)]
        self._body.proposals.release()
        if self._halved:
            _widen(self._body.maps)
        rows, columns = self._grids[-1]
        return answers, [*self._grids, (-(-rows // 2), -(-columns // 2))]

    def boxes(self, proposals: Floats) -> tuple[Floats, Floats]:
        """Return class logits and box deltas of the proposals (N, 4), in pixels of the network's input."""
        give_back_unused()
        weights = self._converted.weights
        logits = np.empty((len(proposals), len(weights["box.logits.bias"])), np.float32)
        deltas = np.empty((len(proposals), len(weights["box.deltas.bias"])), np.float32)
        for block, cells in self._box_pooler.blocks(proposals, self._grids):
            some_logits, some_deltas = self._box_head.run([cells])
            count = block.stop - block.start
            logits[block], deltas[block] = some_logits[:count], some_deltas[:count]
        self._box_head.release()
        self._box_pooler.forget()
        return logits, deltas

    def masks(self, boxes: Floats, classes: Ints) -> Floats:
        """Return the masks (N, 28, 28), as probabilities, of boxes (N, 4) of the network's classes (N,)."""
        give_back_unused()
        logits = np.empty((len(boxes), MASK_CELLS, MASK_CELLS, 2, 2), np.float32)
        filters = classes + self._traits.origin.rules.background_first
        for block, cells in self._mask_pooler.blocks(boxes, self._grids):
            count = block.stop - block.start
            some = np.resize(filters[block], _MASK_BLOCK)
            (found,) = self._mask_head.run([cells, self._mask_filters[some], self._mask_biases[some]])
            logits[block] = found[:count]
        self._mask_head.release()
        self._mask_pooler.forget()
        self._maps.forget()
        fine = logits.transpose(0, 1, 3, 2, 4).reshape(-1, 2 * MASK_CELLS, 2 * MASK_CELLS)
        with np.errstate(over="ignore"):
            np.exp(-fine, out=fine)
        probabilities: Floats = np.reciprocal(fine + np.float32(1))
        return probabilities

    def _session(self, network: Graph) -> Session:
        return Session(network, threads=self._threads, precision=self._precision)

    def _pooler(self, cells: int, block: int, capacity: int) -> Pooler:
        return Pooler(
            self._maps.rows,
            cells=cells,
            block=block,
            capacity=capacity,
            origin=self._traits.origin,
            threads=self._threads,
        )

    def _compiled_body(self, height: int, width: int) -> "_Body":
        weights, in_1x1 = self._converted.weights, self._traits.stride_in_1x1
        self._grids = [(height // stride, width // stride) for stride in _MAP_STRIDES]
        ends = np.cumsum([rows * columns for rows, columns in self._grids])
        maps = self._maps.rows[: ends[-1]]
        levels = np.split(_halves(maps) if self._halved else maps, ends[:-1])
        features = self._session(
            build_graph.features(
                weights,
                height=height,
                width=width,
                stride_in_1x1=in_1x1,
                dtype=self.pixel_type,
                halved=self._halved,
            )
        )
        features.bind([], levels)
        proposals = self._session(build_graph.proposals(weights, self._grids, halved=self._halved))
        proposals.bind(levels)
        return _Body((height, width), maps, levels, features, proposals)


@dataclass(frozen=True)
class _Body:
    """What is compiled for one size of padded pictures.

    maps: their places in the table.
    levels: where the parts leave P2..P5: there, or in its `_halves`.
    """

    size: tuple[int, int]
    maps: Floats
    levels: list[Array]
    features: Session
    proposals: Session


def _halves(maps: Floats) -> Array:
    """Return where the bits of bfloat16 numbers wait to become these: in the upper half of their memory."""
    return maps.reshape(-1).view(np.uint16)[maps.size :].reshape(maps.shape)


def _widen(maps: Floats) -> None:
    """Make the numbers of their halves, which are the upper 16 bits of float32.

    From the first row on none is written over before it is read.
    """
    bits, halves = maps.view(np.uint32), _halves(maps)
    for start in range(0, len(maps), _WIDENED_AT_ONCE):
        rows = slice(start, start + _WIDENED_AT_ONCE)
        np.left_shift(halves[rows], np.uint32(16), out=bits[rows])
