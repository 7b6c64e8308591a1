"""RoIAlign on the engine: the features of boxes, in blocks of a fixed size."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import graph, rules
from flask_detector.detectors.mask_rcnn.layers import CHANNELS
from flask_detector.detectors.mask_rcnn.roi_align import Taps, taps
from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.detectors.runtime import Session

Floats = npt.NDArray[np.float32]

# Bags that only take up the unused taps, evenly: one alone would keep one thread busy with all of them.
_SPARE_BAGS = 64


class Pooler:
    """Gives the features of boxes, (boxes * cells * cells, 256), ordered box, y, x.

    rows: of the table of all maps.
    cells: bins of a box down and across.
    block: how many boxes at a time.
    """

    def __init__(self, *, rows: int, cells: int, block: int, capacity: int, origin: Origin, threads: int) -> None:
        self._cells, self._block, self._capacity, self._origin = cells, block, capacity, origin
        bags = block * cells**2 + _SPARE_BAGS
        self._session = Session(graph.row_sums(rows=rows, taps=capacity, bags=bags), threads=threads)
        self._indices = np.zeros(capacity, np.int32)
        self._weights = np.zeros(capacity, np.float32)
        self._offsets = np.zeros(bags, np.int32)
        self._sums = np.zeros((bags, CHANNELS), np.float32)

    def blocks(
        self, table: Floats, boxes: Floats, grids: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[slice, Floats]]:
        """Yield blocks of boxes: which ones, and their features. Each holds until the next.

        The last block is filled up with what happens to be there.

        boxes: (N, 4), xyxy, in pixels of the network's input.
        grids: rows and columns of the maps in the table.
        """
        levels = rules.levels(boxes, self._origin)
        for start in range(0, len(boxes), self._block):
            block = slice(start, min(start + self._block, len(boxes)))
            found = taps(boxes[block], levels[block], grids, cells=self._cells, origin=self._origin)
            yield block, self._pool(table, found)

    def _pool(self, table: Floats, found: Taps) -> Floats:
        count = len(found.indices)
        used = len(found.offsets)
        self._indices[:count] = found.indices
        self._indices[count:] = 0
        self._weights[:count] = found.weights
        self._weights[count:] = 0
        self._offsets[:used] = found.offsets
        self._offsets[used:] = np.linspace(count, self._capacity, len(self._offsets) - used, endpoint=False)
        self._session.run([table, self._indices, self._offsets, self._weights], [self._sums])
        return self._sums[: self._block * self._cells**2]
