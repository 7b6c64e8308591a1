"""The three parts of the network with their weights, ready to run on one picture after another."""

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import build_graph
from flask_detector.detectors.mask_rcnn.feature_maps import DirectMaps, FeatureMaps, Grids, TiledMaps
from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, MASK_CELLS
from flask_detector.detectors.mask_rcnn.roi_pooler import Pooler
from flask_detector.detectors.mask_rcnn.variants import Traits
from flask_detector.detectors.openvino_runtime import Graph, Precision, Session
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.winograd import transformed
from flask_detector.process.memory import give_back_large_blocks, give_back_unused

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Heads run in blocks of one size: nothing is compiled again, and memory stays the same for any picture.
_BOX_BLOCK = 250
_MASK_BLOCK = 10
_BOX_TAPS = 1 << 18
_MASK_TAPS = 1 << 16


class Network:
    """Runs the parts. The maps of the picture that `features` saw last are kept for the heads."""

    def __init__(self, converted: WeightsFile, traits: Traits, *, threads: int, precision: Precision) -> None:
        give_back_large_blocks()
        self._converted = converted
        self._traits = traits
        self._threads, self._precision = threads, precision
        weights = converted.weights
        self._box_head = self._session(build_graph.box_head(weights, block=_BOX_BLOCK, precision=precision))
        self._mask_head = self._session(
            build_graph.mask_head(weights, block=_MASK_BLOCK, precision=precision)
        )
        maps = TiledMaps if precision is Precision.FLOAT32 else DirectMaps
        self.maps: FeatureMaps = maps(converted, traits, threads=threads)
        self._box_pooler = self._pooler(BOX_CELLS, _BOX_BLOCK, _BOX_TAPS)
        self._mask_pooler = self._pooler(MASK_CELLS, _MASK_BLOCK, _MASK_TAPS)
        self._mask_filters = weights["mask.logits.weight"].reshape(-1, CHANNELS).copy()
        self._mask_biases = weights["mask.logits.bias"].copy()
        converted.forget_pages()

    @property
    def pixel_type(self) -> type[np.floating]:
        """The type in which it takes pixels."""
        return np.float32 if self._precision is Precision.FLOAT32 else np.float16

    def compile_for(self, size: tuple[int, int]) -> None:
        """Get ready for pixels (height, width, 3), if the last ones were of another size."""
        self.maps.compile_for(size)

    def features(self, pixels: npt.NDArray[np.floating]) -> None:
        """Make the maps of the pixels (height, width, 3), which all else is read from."""
        self._converted.forget_pages()  # later stages read them, and this one needs the most memory
        self.maps.make(pixels)

    def proposals(self) -> tuple[list[Floats], Grids]:
        """Return the proposal network's answers on P2..P6, and the rows and columns of these.

        An answer is (rows * columns, 15): three logits, then four deltas for each of the three anchors.
        """
        rows, columns = self.maps.grids[-1]
        return self.maps.answers(), [*self.maps.grids, (-(-rows // 2), -(-columns // 2))]

    def boxes(self, proposals: Floats) -> tuple[Floats, Floats]:
        """Return class logits and box deltas of the proposals (N, 4), in pixels of the network's input."""
        give_back_unused()
        weights = self._converted.weights
        logits = np.empty((len(proposals), len(weights["box.logits.bias"])), np.float32)
        deltas = np.empty((len(proposals), len(weights["box.deltas.bias"])), np.float32)
        kernels = self._kernels("box")
        grids, rows = self.maps.grids, self.maps.rows_of_cells
        for block, cells in self._box_pooler.blocks(proposals, grids, rows):
            some_logits, some_deltas = self._box_head.run([cells, *kernels])
            count = block.stop - block.start
            logits[block], deltas[block] = some_logits[:count], some_deltas[:count]
        self._box_head.release()
        self._box_pooler.forget()
        return logits, deltas

    def masks(self, boxes: Floats, classes: Ints) -> Floats:
        """Return the masks (N, 28, 28), as probabilities, of boxes (N, 4) of the network's classes (N,)."""
        give_back_unused()
        logits = np.empty((len(boxes), MASK_CELLS, MASK_CELLS, 2, 2), np.float32)
        filters, kernels = classes + self._traits.origin.rules.background_first, self._kernels("mask")
        grids, rows = self.maps.grids, self.maps.rows_of_cells
        for block, cells in self._mask_pooler.blocks(boxes, grids, rows):
            count = block.stop - block.start
            some = np.resize(filters[block], _MASK_BLOCK)
            inputs = [cells, self._mask_filters[some], self._mask_biases[some], *kernels]
            (found,) = self._mask_head.run(inputs)
            logits[block] = found[:count]
        self._mask_head.release()
        self._mask_pooler.forget()
        self.maps.table.forget()
        fine = logits.transpose(0, 1, 3, 2, 4).reshape(-1, 2 * MASK_CELLS, 2 * MASK_CELLS)
        with np.errstate(over="ignore"):
            np.exp(-fine, out=fine)
        probabilities: Floats = np.reciprocal(fine + np.float32(1))
        return probabilities

    def _session(self, network: Graph) -> Session:
        return Session(network, threads=self._threads, precision=self._precision)

    def _pooler(self, cells: int, block: int, capacity: int) -> Pooler:
        return Pooler(
            self.maps.table.rows,
            cells=cells,
            block=block,
            capacity=capacity,
            origin=self._traits.origin,
            threads=self._threads,
        )

    def _kernels(self, head: str) -> list[Floats]:
        """Return what a head takes beside its features."""
        if self._precision is not Precision.FLOAT32:
            return []
        weights = self._converted.weights
        return [transformed(weights[f"{name}.weight"]) for name in build_graph.head_convs(weights, head)]
