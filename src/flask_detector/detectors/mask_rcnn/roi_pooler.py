"""RoIAlign on the engine: the features of boxes, in blocks of a fixed size."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import box_coding, build_graph
from flask_detector.detectors.mask_rcnn.layers import CHANNELS
from flask_detector.detectors.mask_rcnn.roi_align import Taps, taps
from flask_detector.detectors.mask_rcnn.row_buffer import Table
from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.detectors.openvino_runtime import Session

Floats = npt.NDArray[np.float32]

# Bags that only take up the unused taps, evenly: one alone would keep one thread busy with all of them.
_SPARE_BAGS = 64


class Pooler:
    """Gives the features of boxes, (boxes * cells * cells, 256), ordered box, y, x.

    table: of all maps, (rows, 256); read at each call.
    cells: bins of a box down and across.
    block: how many boxes at a time.
    capacity: how many taps a block can have.
    """

    def __init__(
        self, table: Floats, *, cells: int, block: int, capacity: int, origin: Origin, threads: int
    ) -> None:
        self._cells, self._block, self._capacity, self._origin = cells, block, capacity, origin
        bags = block * cells**2 + _SPARE_BAGS
        self._indices = np.zeros(capacity, np.int32)
        self._weights = np.zeros(capacity, np.float32)
        self._offsets = np.zeros(bags, np.int32)
        self._sums = Table(bags, CHANNELS)
        self._inputs = [table, self._indices, self._offsets, self._weights]
        self._session = Session(build_graph.row_sums(taps=capacity, bags=bags), threads=threads)
        self._session.bind(self._inputs, [self._sums.rows])

    def blocks(
        self, boxes: Floats, grids: Sequence[tuple[int, int]], rows_of_cells: npt.NDArray[np.int32]
    ) -> Iterator[tuple[slice, Floats]]:
        """Yield blocks of boxes: which ones, and their features. Each holds until the next.

        The last block is filled up with what happens to be there.

        boxes: (N, 4), xyxy, in pixels of the network's input.
        grids: rows and columns of the maps.
        rows_of_cells: the table's row of each of their cells, row by row, one map behind the other.
        """
        levels = box_coding.levels(boxes, self._origin)
        for start in range(0, len(boxes), self._block):
            block = slice(start, min(start + self._block, len(boxes)))
            found = taps(boxes[block], levels[block], grids, cells=self._cells, origin=self._origin)
            yield block, self._pool(replace(found, indices=rows_of_cells[found.indices]))

    def forget(self) -> None:
        """Give back the memory of the last block."""
        self._sums.forget()

    def _pool(self, found: Taps) -> Floats:
        used = len(found.offsets)
        ends = np.append(found.offsets, len(found.indices))
        last = self._run(found, ends, 0)
        if last < used:  # many long thin boxes
            features = self._sums.rows.copy()
            while last < used:
                first, last = last, self._run(found, ends, last)
                features[first:last] = self._sums.rows[first:last]
            self._sums.rows[:] = features
        return self._sums.rows[: self._block * self._cells**2]

    def _run(self, found: Taps, ends: npt.NDArray[np.integer], first: int) -> int:
        """Add up as many bins from the first on as have room; return the number behind the last of them."""
        used = len(found.offsets)
        last = min(int(np.searchsorted(ends, ends[first] + self._capacity, "right")) - 1, used)
        taps = slice(int(ends[first]), int(ends[last]))
        count = taps.stop - taps.start
        self._indices[:count], self._indices[count:] = found.indices[taps], 0
        self._weights[:count], self._weights[count:] = found.weights[taps], 0
        # Bins outside the range begin where they end: they are empty, and become zeros.
        self._offsets[:used] = np.clip(ends[:-1], taps.start, taps.stop) - taps.start
        self._offsets[used:] = np.linspace(count, self._capacity, len(self._offsets) - used, endpoint=False)
        self._session.run(self._inputs, [self._sums.rows])
        return last
