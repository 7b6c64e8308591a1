"""The outlines of a mask as polygons.

An outline runs along the edges of pixels: the pixel in column i and row j is the square from (i, j) to
(i + 1, j + 1). So a polygon covers the centre of a pixel exactly where the pixel is inside the mask, and
whoever fills the polygon by the centres of pixels gets the same mask back.

Pixels that touch at a corner only are apart. Therefore no ring crosses or touches itself, and the parts are
valid polygons in the sense of OGC's simple features.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.structures.masks import Bitmap, Mask, mask_of_runs

# What filling the outlines of one mask may take: some tenths of a second, and 200 MB.
MOST_COLUMNS = 2_000_000

# Corners (K, 2) of a closed line, x and y in pixels; the last one is joined to the first.
Ring = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """A connected part of a mask.

    outer: its outline, clockwise as the picture is seen.
    holes: the outlines of what is left out of it, the other way round.
    """

    outer: Ring
    holes: tuple[Ring, ...]


def parts_of(mask: Mask) -> list[Part]:
    """Return the parts of a mask in pixels of the picture, the largest first; an empty mask has none."""
    rings = [simple for ring in _outlines(mask.bitmap()) for simple in _simple(ring)]
    areas = np.array([_signed_area(ring) for ring in rings])
    place = np.array([mask.x, mask.y])
    holes: dict[int, list[Ring]] = {i: [] for i in np.argsort(-areas, kind="stable").tolist() if areas[i] > 0}
    for i, owner in _owners(rings, areas < 0).items():
        holes[owner].append(rings[i] + place)
    return [Part(rings[i] + place, tuple(inner)) for i, inner in holes.items()]


def mask_of(parts: Sequence[Sequence[Sequence[Sequence[float]]]], *, width: int, height: int) -> Mask:
    """Return the mask in a picture of that size of the pixels whose centres lie within outlines.

    parts: for each its rings, for each of these its corners, x and y in pixels. A part is what an odd number
    of its rings encloses, so that holes are left out; what any part covers is inside.

    Raises ValueError where a ring is none, leaves the picture, or the outlines are too long to be filled.
    """
    arrays = [[_ring(ring, width, height) for ring in part] for part in parts]
    if sum(columns_of(ring) for part in arrays for ring in part) > MOST_COLUMNS:
        raise ValueError(f"outlines must not run through more than {MOST_COLUMNS:,} columns of pixels in all")
    runs = [_inside(rings, height) for rings in arrays if rings]
    if not runs:
        return mask_of_runs([], [], width=width, height=height)
    starts, ends = (np.concatenate(side) for side in zip(*runs, strict=True))
    if len(runs) > 1:
        starts, ends = _united(starts, ends)
    return mask_of_runs(starts, ends, width=width, height=height)


def columns_of(ring: Sequence[Sequence[float]] | npt.NDArray[np.float64]) -> int:
    """Return about how many columns of pixels a ring runs through, which is what it takes to fill it."""
    corners = np.asarray(ring, np.float64)
    return int(np.abs(corners[:, 0] - np.roll(corners[:, 0], 1)).sum())


def _ring(ring: Sequence[Sequence[float]], width: int, height: int) -> npt.NDArray[np.float64]:
    """Return a ring's corners (K, 2); raises ValueError."""
    try:
        corners = np.array(ring)
    except ValueError:  # of rows of several lengths
        corners = np.zeros(0)
    if corners.dtype.kind not in "iuf" or corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("a ring must be a list of at least three corners, each x and y in pixels")
    if not ((corners >= 0) & (corners <= (width, height))).all():
        raise ValueError("a ring must lie within the picture")
    return corners.astype(np.float64)


def _inside(rings: Sequence[npt.NDArray[np.float64]], height: int) -> tuple[Ring, Ring]:
    """Return the runs of pixels within rings, walked column by column: where they start and end.

    The line through the centres of a column's pixels crosses closed rings an even number of times: sorted,
    each crossing that enters is followed by the one that leaves.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    first = np.ceil(np.minimum(starts[:, 0], ends[:, 0]) - 0.5).astype(np.int64)
    number = np.ceil(np.maximum(starts[:, 0], ends[:, 0]) - 0.5).astype(np.int64) - first
    line = np.repeat(np.arange(len(starts)), number)
    column = first[line] + np.arange(len(line)) - np.repeat(np.cumsum(number) - number, number)
    part = (column + 0.5 - starts[line, 0]) / (ends[line, 0] - starts[line, 0])
    y = starts[line, 1] + part * (ends[line, 1] - starts[line, 1])
    crossings = np.sort(column * height + np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64))
    return crossings[0::2], crossings[1::2]


def _united(starts: Ring, ends: Ring) -> tuple[Ring, Ring]:
    """Return runs that may overlap as runs in order that don't."""
    edges = np.concatenate([starts, ends])
    steps = np.repeat([1, -1], len(starts))
    order = np.lexsort((-steps, edges))
    edges, depth = edges[order], np.cumsum(steps[order])
    closes = np.flatnonzero(depth == 0)
    opens = np.concatenate([[0], closes[:-1] + 1])
    return edges[opens], edges[closes]


def without_holes(part: Part) -> Ring:
    """Return a part as one ring: cuts of no width lead from its outline to its holes and back."""
    return _joined([part.outer, *part.holes])


def as_one_ring(parts: Iterable[Part]) -> Ring:
    """Return all parts as one ring, for formats in which an object is a single polygon without holes.

    Bridges and cuts of no width run along the edges of pixels, so that filling by the centres of pixels still
    gives the same mask. Without any part the ring is empty.
    """
    return _joined([ring for part in parts for ring in (part.outer, *part.holes)])


def _joined(rings: list[Ring]) -> Ring:
    """Return one ring of several: each is joined at its first corner to the nearest corner so far."""
    if not rings:
        return np.empty((0, 2), np.int64)
    joined = rings[0]
    for ring in rings[1:]:
        at = int(np.abs(joined - ring[0]).sum(axis=1).argmin())
        bend = np.array([[joined[at, 0], ring[0, 1]]])
        joined = np.concatenate([joined[: at + 1], bend, ring, ring[:1], bend, joined[at:]])
    # A bend that is a corner already would double it.
    single: Ring = joined[(joined != np.roll(joined, 1, axis=0)).any(axis=1)]
    return single


def _outlines(bitmap: Bitmap) -> Iterator[Ring]:
    """Yield the closed lines between inside and outside; inside lies to their right as the picture is seen.

    Where two pixels touch at a corner, the line turns right, which keeps them apart.
    """
    padded = np.pad(bitmap, 1).astype(np.int8)
    # Lines to the right have inside below them; lines downwards have it to their left.
    across = _runs(np.diff(padded, axis=0)[:, 1:-1])
    down = _runs(-np.diff(padded, axis=1)[1:-1].T)[:, [1, 0, 3, 2, 4]]
    width = padded.shape[1]
    after_across, after_down = _followers(across, down, width), _followers(down, across, width, turn=-1)
    follower = after_down[after_across].tolist()
    bends = after_across.tolist()
    corners = across[:, :2].tolist()
    bent_corners = down[:, :2].tolist()
    left = [True] * len(across)
    for first in range(len(across)):
        ring = []
        current = first
        while left[current]:
            left[current] = False
            ring += [corners[current], bent_corners[bends[current]]]
            current = follower[current]
        if ring:
            yield np.array(ring, np.int64)


def _runs(edges: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return the lines (K, 5) that runs of one sign in the rows of `edges` make.

    A line is: x and y of its start, x and y of its end, and 1 where it leads to the right, -1 to the left.
    """
    rows, columns = np.nonzero(edges)
    signs = edges[rows, columns]
    begins = np.ones(len(rows), bool)
    begins[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 1) | (np.diff(signs) != 0)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(rows)) - 1 if len(starts) else starts
    first, last = columns[starts], columns[ends] + 1
    y, sign = rows[starts], signs[starts]
    rightwards = sign > 0
    return np.stack(
        [np.where(rightwards, first, last), y, np.where(rightwards, last, first), y, sign], axis=1
    ).astype(np.int64)


def _followers(
    lines: npt.NDArray[np.int64], others: npt.NDArray[np.int64], width: int, *, turn: int = 1
) -> npt.NDArray[np.int64]:
    """Return for each line which of the others starts at its end; of two, the one to the right.

    turn: 1 where a right turn keeps the sign of the direction (right to down), -1 where it changes it.
    """
    start = (others[:, 1] * width + others[:, 0]) * 2 + (others[:, 4] > 0)
    order = np.argsort(start)
    point = (lines[:, 3] * width + lines[:, 2]) * 2
    wanted = point + (lines[:, 4] * turn > 0)
    at = np.minimum(np.searchsorted(start[order], wanted), len(order) - 1) if len(order) else wanted
    found = order[at]
    # At a common corner only one line starts, whichever way it turns.
    missing = start[found] != wanted
    wanted[missing] ^= 1
    found[missing] = order[np.searchsorted(start[order], wanted[missing])]
    return found


def _simple(ring: Ring) -> Iterator[Ring]:
    """Yield the ring, split wherever it comes back to a corner where it was."""
    codes = ring[:, 1] * (int(ring[:, 0].max()) + 1) + ring[:, 0]
    if len(np.unique(codes)) == len(codes):
        yield ring
        return
    path: list[int] = []
    place: dict[int, int] = {}
    for i, code in enumerate(codes.tolist()):
        if code in place:
            start = place[code]
            yield ring[path[start:]]
            for dropped in path[start:]:
                place.pop(int(codes[dropped]))
            del path[start:]
        place[code] = len(path)
        path.append(i)
    yield ring[path]


def _signed_area(ring: Ring) -> int:
    """Return the area in pixels, positive where the ring runs clockwise as the picture is seen."""
    x, y = ring[:, 0], ring[:, 1]
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) // 2


def _owners(rings: list[Ring], is_hole: npt.NDArray[np.bool_]) -> dict[int, int]:
    """Return for the number of each hole the number of the outer ring of its part.

    To the left of a hole's leftmost edge the part goes on to its next edge, which is the outer ring's or that
    of a hole further to the left.
    """
    if not is_hole.any():
        return {}
    numbers = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    upright = starts[:, 0] == ends[:, 0]
    numbers, starts, ends = numbers[upright], starts[upright], ends[upright]
    tops, heights = np.minimum(starts[:, 1], ends[:, 1]), np.abs(starts[:, 1] - ends[:, 1])
    # Every edge of a pixel by its row and column.
    edges = np.repeat(np.arange(len(starts)), heights)
    rows = tops[edges] + np.arange(len(edges)) - np.repeat(np.cumsum(heights) - heights, heights)
    width = int(starts[:, 0].max()) + 1
    codes = rows * width + starts[edges, 0]
    order = np.argsort(codes)
    codes, edges = codes[order], edges[order]
    owners: dict[int, int] = {}
    # The first edge of a hole from the left, whichever row it is in; holes further left come first.
    for edge in np.argsort(starts[:, 0], kind="stable").tolist():
        ring = int(numbers[edge])
        if is_hole[ring] and ring not in owners:
            before = np.searchsorted(codes, tops[edge] * width + starts[edge, 0]) - 1
            beside = int(numbers[edges[before]])
            owners[ring] = owners.get(beside, beside)
    return owners
