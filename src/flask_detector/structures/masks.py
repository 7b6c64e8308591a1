"""The mask of one instance, kept as run lengths of the small bitmap at its place in the picture.

A hundred bitmaps of a 24-megapixel picture would take 2.4 GB as bytes; as run lengths of the crop that an
instance covers they take a few hundred kilobytes, and every use (bitmap, COCO RLE, polygon) is derived from
them when it is asked for.

Run lengths are COCO's: pixels are walked column by column (top to bottom, then left to right), and the runs
alternate between outside and inside, beginning with outside (possibly 0 long).
Source: pycocotools, maskApi.c.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

Bitmap = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint32]

# Run lengths are numbers of 32 bits.
MOST_PIXELS = 2**32 - 1

# The difference of two run lengths of 32 bits has 33: seven groups of five bits.
_MOST_GROUPS = 7


@dataclass(frozen=True, eq=False)
class Mask:
    """Which pixels an instance covers.

    x, y: the picture's column and row of the bitmap's first pixel.
    width, height: the bitmap's size in pixels.
    counts: run lengths over the bitmap, column by column; they add up to width * height.
    """

    x: int
    y: int
    width: int
    height: int
    counts: Counts

    def __post_init__(self) -> None:
        if self.x < 0 or self.y < 0 or self.width < 0 or self.height < 0:
            raise ValueError("a mask's place and size can't be negative")
        if int(self.counts.sum(dtype=np.int64)) != self.width * self.height:
            raise ValueError("a mask's run lengths must add up to its size")

    @classmethod
    def from_bitmap(cls, bitmap: Bitmap, *, x: int = 0, y: int = 0) -> "Mask":
        """Return the mask of a bitmap (height, width) whose first pixel lies at column x, row y."""
        height, width = bitmap.shape
        return cls(x, y, width, height, _runs(bitmap))

    @property
    def area(self) -> int:
        """How many pixels are inside."""
        return int(self.counts[1::2].sum(dtype=np.int64))

    def bitmap(self) -> Bitmap:
        """Return the bitmap (height, width) at the mask's own place."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.width, self.height).T

    def to_rle(self, *, width: int, height: int) -> dict[str, Any]:
        """Return COCO's compressed run-length encoding of the mask in a picture of that size.

        The form is ``{"size": [height, width], "counts": str}``, as pycocotools reads it.
        Raises ValueError where the mask does not lie within the picture.
        """
        if self.x + self.width > width or self.y + self.height > height:
            raise ValueError("the mask does not lie within the picture")
        if (width, height) not in self._compressed:
            self._compressed[width, height] = compress_counts(self.counts_in(width, height))
        return {"size": [height, width], "counts": self._compressed[width, height]}

    @cached_property
    def _compressed(self) -> dict[tuple[int, int], str]:
        """Compressed run lengths by the picture's width and height, which take long to make."""
        return {}

    @classmethod
    def from_rle(cls, rle: dict[str, Any]) -> "Mask":
        """Return the mask of COCO's compressed or plain run lengths, cropped to what is inside.

        Raises ValueError where they are malformed or do not add up to the size.
        """
        try:
            height, width = (index(side) for side in rle["size"])
            counts = rle["counts"]
            if isinstance(counts, str):
                runs = decompress_counts(counts)
            else:
                runs = np.array([index(count) for count in counts], np.int64)
        except (KeyError, OverflowError, TypeError) as error:
            raise ValueError("not a run-length encoding") from error
        if height < 0 or width < 0 or (runs < 0).any() or (runs > MOST_PIXELS).any():
            raise ValueError("sizes and run lengths must not be negative, nor longer than 32 bits")
        if int(runs.sum()) != width * height or width * height > MOST_PIXELS:
            raise ValueError("run lengths must add up to the size, which must fit into 32 bits")
        mask = cls(0, 0, width, height, runs.astype(np.uint32)).cropped()
        if isinstance(counts, str):
            mask._compressed[width, height] = counts
        return mask

    def counts_by_row(self) -> Counts:
        """Return the run lengths over the bitmap row by row, as CVAT has them."""
        return _runs(self.bitmap().T)

    def counts_in(self, width: int, height: int) -> Counts:
        """Return the run lengths of the mask in a picture of that size."""
        starts, ends = self._inside_runs()
        # A run that passes the bitmap's lower edge goes on in the next column: cut it there first.
        starts, ends = _cut_at_columns(starts, ends, self.height)
        columns = starts // max(self.height, 1)
        shift = (self.x + columns) * height + self.y - columns * self.height
        return _counts_of_runs(starts + shift, ends + shift, width * height)

    def _inside_runs(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        edges = np.cumsum(self.counts, dtype=np.int64)
        starts, ends = edges[0:-1:2], edges[1::2]
        return starts[ends > starts], ends[ends > starts]

    def cropped(self) -> "Mask":
        """Return the same mask with the smallest bitmap that holds what is inside."""
        starts, ends = _cut_at_columns(*self._inside_runs(), self.height)
        if len(starts) == 0:
            return Mask(self.x, self.y, 0, 0, np.zeros(1, np.uint32))
        columns, rows, last_rows = starts // self.height, starts % self.height, (ends - 1) % self.height
        left, top = int(columns[0]), int(rows.min())
        width, height = int(columns[-1]) - left + 1, int(last_rows.max()) - top + 1
        shift = -(left * height) - top - columns * (self.height - height)
        counts = _counts_of_runs(starts + shift, ends + shift, width * height)
        return Mask(self.x + left, self.y + top, width, height, counts)


def mask_of_runs(starts: npt.ArrayLike, ends: npt.ArrayLike, *, width: int, height: int) -> Mask:
    """Return the mask of runs of pixels in order, numbered column by column in a picture of that size."""
    starts, ends = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    inside = ends > starts
    return Mask(0, 0, width, height, _counts_of_runs(starts[inside], ends[inside], width * height)).cropped()


def counts_of_columns(blocks: Iterable[Bitmap], height: int) -> Counts:
    """Return the run lengths of a bitmap that comes in blocks (columns, height), a few columns at a time."""
    before = np.zeros(1, bool)
    edges = []
    total = 0
    for block in blocks:
        inside = block.reshape(-1)
        edges.append(np.flatnonzero(inside != np.concatenate([before, inside[:-1]])) + total)
        before = inside[-1:]
        total += len(block) * height
    return np.diff(np.concatenate([*edges, [total]]), prepend=0).astype(np.uint32)


def compress_counts(counts: Counts) -> str:
    """Return COCO's compressed string of run lengths.

    From the fourth on, a run is told by its difference to the one two before it; each number is written in
    groups of five bits, lowest first, with a sixth bit for "more follows", as the character 48 + value.
    Source: pycocotools, maskApi.c, rleToString.
    """
    numbers = counts.astype(np.int64)
    numbers[3:] -= counts[1:-2].astype(np.int64)
    characters = []
    for number in numbers.tolist():
        rest = number
        while True:
            group = rest & 0x1F
            rest >>= 5
            more = rest != -1 if group & 0x10 else rest != 0
            characters.append(chr(48 + (group | (0x20 if more else 0))))
            if not more:
                break
    return "".join(characters)


def decompress_counts(text: str) -> npt.NDArray[np.int64]:
    """Return the run lengths (int64, not checked for sign) of COCO's compressed string.

    Raises ValueError where the string ends within a number or has other characters.
    """
    groups = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if len(groups) == 0:
        return groups
    if groups.min() < 0 or groups.max() >= 64:
        raise ValueError("not a compressed run-length encoding")
    ends = np.flatnonzero(groups < 0x20)
    if groups[-1] >= 0x20:
        raise ValueError("the run-length encoding ends within a number")
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _MOST_GROUPS:
        raise ValueError("not a compressed run-length encoding")
    starts = ends - lengths + 1
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((groups & 0x1F) << (5 * place), starts)
    is_negative = (groups[ends] & 0x10) >> 4
    numbers -= is_negative << (5 * lengths)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers


def _runs(bitmap: Bitmap) -> Counts:
    """Return the run lengths column by column, outside first (possibly 0 long)."""
    pixels = bitmap.T.reshape(-1)
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges = np.concatenate([[0], changes, [pixels.size]])
    counts = np.diff(edges)
    if pixels.size and pixels[0]:
        counts = np.concatenate([[0], counts])
    return counts.astype(np.uint32)


def _cut_at_columns(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], height: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the runs with each one that spans several columns cut into one a column."""
    if len(starts) == 0:
        return starts, ends
    first, last = starts // height, (ends - 1) // height
    pieces = last - first + 1
    owner = np.repeat(np.arange(len(starts)), pieces)
    column = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.maximum(starts[owner], column * height), np.minimum(ends[owner], (column + 1) * height)


def _counts_of_runs(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], total: int) -> Counts:
    """Return run lengths over `total` pixels from the inside runs in order; touching runs become one."""
    if len(starts):
        apart = np.flatnonzero(starts[1:] != ends[:-1])
        starts = np.concatenate([starts[:1], starts[apart + 1]])
        ends = np.concatenate([ends[apart], ends[-1:]])
    edges = np.empty(2 * len(starts) + 2, np.int64)
    edges[0], edges[-1] = 0, total
    edges[1:-1:2], edges[2:-1:2] = starts, ends
    counts = np.diff(edges)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return counts.astype(np.uint32)
