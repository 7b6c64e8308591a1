"""From the masks that networks answer with to those of the picture, a few columns of pixels at a time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.onnx.fit import Fitted
from flask_detector.structures.boxes import Floats, Ints
from flask_detector.structures.masks import Mask, counts_of_columns

_PIXELS_AT_ONCE = 1 << 20
_ENLARGEMENTS = (1, 2, 4)


@dataclass(frozen=True)
class MaskGrids:
    """Where the masks of candidates come from.

    grid: returns the numbers (h, w) of a candidate. threshold: inside is what is over it.
    over: what the grid covers: the network's whole input, with the mask cut at the box or not, or the box.
    may_be_empty: what has no pixel is an object as well.
    """

    grid: Callable[[int], Floats]
    threshold: float
    over: Literal["input", "input within box", "box"]
    may_be_empty: bool = True


def paste(grids: MaskGrids, candidate: int, box: Floats, fitted: Fitted) -> Mask:
    """Return the mask of a candidate with that box (4,), xyxy in pixels of the picture and clipped to it."""
    grid = np.asarray(grids.grid(candidate), np.float32)
    x1, y1, x2, y2 = (float(side) for side in box)
    if grids.over == "box":
        columns = _Taps.over(grid.shape[1], x1, x2, int(x1), min(math.ceil(x2), fitted.width))
        rows = _Taps.over(grid.shape[0], y1, y2, int(y1), min(math.ceil(y2), fitted.height))
    else:
        grid = _of_picture(grid, fitted)
        is_cut = grids.over == "input within box"
        first, last = (math.ceil(x1), math.ceil(x2)) if is_cut else (0, fitted.width)
        upper, lower = (math.ceil(y1), math.ceil(y2)) if is_cut else (0, fitted.height)
        columns = _Taps.over(grid.shape[1], 0, fitted.width, first, min(last, fitted.width))
        rows = _Taps.over(grid.shape[0], 0, fitted.height, upper, min(lower, fitted.height))
    # A pixel is inside only where one of the cells around it is: most of a picture needs no look.
    is_over: npt.NDArray[np.bool_] = grid > grids.threshold
    columns, rows = columns.near(np.any(is_over, axis=0)), rows.near(np.any(is_over, axis=1))
    if len(columns.lower) == 0 or len(rows.lower) == 0:
        return Mask(0, 0, 0, 0, np.zeros(1, np.uint32))
    counts = counts_of_columns(_inside(grid, columns, rows, grids.threshold), len(rows.lower))
    return Mask(columns.first, rows.first, len(columns.lower), len(rows.lower), counts).cropped()


def _of_picture(grid: Floats, fitted: Fitted) -> Floats:
    """Return the part of a grid over the network's input that is over the picture, without the padding.

    Where that does not begin and end with whole cells, the grid is enlarged first; YOLOv5 takes whole ones.
    Sources: Ultralytics 8.4.190, ops.process_mask_native; YOLOv5 7.0, segment.general.process_mask_native.
    """
    if fitted.has_whole_cells:
        height, width = grid.shape
        top = fitted.top * height / fitted.pixels.shape[1]
        left = fitted.left * width / fitted.pixels.shape[2]
        return grid[int(top) : int(height - top), int(left) : int(width - left)]
    sides = []
    for cells, pixels, begins, scale, length in (
        (grid.shape[1], fitted.pixels.shape[2], fitted.left, fitted.scale[0], fitted.width),
        (grid.shape[0], fitted.pixels.shape[1], fitted.top, fitted.scale[1], fitted.height),
    ):
        stride = pixels / cells
        sides.append((cells, begins / stride, (begins + round(scale * length)) / stride))
    factor = next(
        (f for f in _ENLARGEMENTS if all((edge * f).is_integer() for side in sides for edge in side[1:])), 4
    )
    if factor == 1:
        (_, left, right), (_, top, bottom) = sides
        return grid[round(top) : max(round(bottom), 1), round(left) : max(round(right), 1)]
    columns, rows = (
        _Taps.over(cells, 0, cells * factor, round(first * factor), max(round(last * factor), 1))
        for cells, first, last in sides
    )
    return rows.of(columns.of(grid).T).T


@dataclass(frozen=True)
class _Taps:
    """Pixels along an axis from `first` on: the two cells that each lies between, and the upper's share."""

    first: int
    lower: Ints
    upper: Ints
    share: Floats

    @classmethod
    def over(cls, cells: int, start: float, end: float, first: int, last: int) -> "_Taps":
        """Return those of the pixels first..last of cells that cover the axis from `start` to `end`."""
        centres = np.arange(first, max(last, first)) + 0.5
        places = np.clip((centres - start) * (cells / max(end - start, 1e-6)) - 0.5, 0, cells - 1)
        lower = places.astype(np.int64)
        return cls(first, lower, np.minimum(lower + 1, cells - 1), (places - lower).astype(np.float32))

    def near(self, cells: npt.NDArray[np.bool_]) -> "_Taps":
        """Return the pixels from the first to the last that lie next to one of those cells (N,)."""
        touched = np.flatnonzero(cells[self.lower] | cells[self.upper])
        kept = slice(touched[0], touched[-1] + 1) if len(touched) else slice(0)
        first = self.first + (kept.start or 0)
        return _Taps(int(first), self.lower[kept], self.upper[kept], self.share[kept])

    def of(self, values: Floats) -> Floats:
        """Return values (N, cells) as (N, pixels)."""
        found: Floats = values[:, self.lower] * (1 - self.share) + values[:, self.upper] * self.share
        return found


def _inside(grid: Floats, columns: _Taps, rows: _Taps, threshold: float) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield which pixels are inside, (columns, rows), a few columns at a time."""
    across = columns.of(grid).T
    at_once = max(_PIXELS_AT_ONCE // len(rows.lower), 1)
    for start in range(0, len(across), at_once):
        yield rows.of(across[start : start + at_once]) > threshold
