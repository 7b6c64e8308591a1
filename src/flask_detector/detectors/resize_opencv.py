"""OpenCV's bilinear resize of 8-bit pictures, bit for bit, some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.imaging.pixels import Picture, Pixels

# So many rows of the result are made at a time, at most, of so many pixels of the picture: enough to be fast,
# few enough to need little memory.
_ROWS_AT_ONCE = 64
_PIXELS_AT_ONCE = 1 << 21

# OpenCV's weights are integers in this unit.
_ONE = 2048


def opencv_rows(image: Pixels, height: int, width: int) -> Iterator[tuple[int, Picture]]:
    """Yield the resized picture in blocks: the number of a block's first row, and its rows (N, width, 3).

    Source: OpenCV 4, resize.cpp, INTER_LINEAR for 8 bits: weights are integers in 1/2048, across first, then
    down, with intermediate shifts by 4, 16 and 2 bits.
    """
    columns = _fixed_point(width, image.columns)
    # Across, a pixel outside the picture is not mixed with the edge; down, the edge row is taken twice.
    columns.weights[:, columns.beyond] = [[_ONE], [0]]
    lines = _fixed_point(height, image.rows)
    for block, rows, above, below in row_blocks(*lines.places, columns=image.columns):
        source = image[rows]
        across = np.zeros((len(rows), width, 3), np.int32)
        for place, weight in zip(columns.places, columns.weights, strict=True):
            across += source[:, place] * weight[:, None]
        across >>= 4
        total = np.zeros((len(above), *across.shape[1:]), np.int32)
        for place, weight in zip((above, below), lines.weights[:, block], strict=True):
            total += across[place] * weight[:, None, None] >> 16
        yield block.start, ((total + 2) >> 2).astype(np.uint8)


@dataclass(frozen=True)
class _FixedPoint:
    """For each new pixel along an axis the two old ones that it lies between, and their weights in 1/2048.

    places, weights: (2, new). beyond: (new,) whether it lies outside the centres of the old ones.
    """

    places: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int32]
    beyond: npt.NDArray[np.bool_]


def _fixed_point(new: int, old: int) -> _FixedPoint:
    centres = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    lower = np.floor(centres)
    share = centres - lower
    shares = np.stack([np.float32(1) - share, share]) * np.float32(_ONE)
    first = lower.astype(np.int64)
    places = np.clip(np.stack([first, first + 1]), 0, old - 1)
    return _FixedPoint(places, np.rint(shares).astype(np.int32), (first < 0) | (first >= old - 1))


def row_blocks(
    upper: npt.NDArray[np.int64], lower: npt.NDArray[np.int64], *, columns: int
) -> Iterator[tuple[slice, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield blocks of rows: the block, which rows of the picture it needs, and each row's two in these.

    upper, lower: the two rows of the picture that each new one lies between. columns: the picture's.
    """
    rows_between = (int(lower[-1]) + 1) / len(upper)
    at_once = max(1, min(_ROWS_AT_ONCE, int(_PIXELS_AT_ONCE / columns / rows_between)))
    for start in range(0, len(upper), at_once):
        block = slice(start, start + at_once)
        rows, places = np.unique(np.concatenate([upper[block], lower[block]]), return_inverse=True)
        count = len(upper[block])
        yield block, rows, places[:count], places[count:]
