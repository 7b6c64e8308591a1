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

from flask_detector.structures.masks import Bitmap, Mask

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


def mask_of(parts: Sequence[Sequence[Sequence[Sequence[int]]]], *, width: int, height: int) -> Mask:
    """Return the mask in a picture of that size that lies within outlines along the edges of pixels.

    parts: for each its rings, for each of these its corners, x and y in pixels, as `parts_of` finds them.

    Raises ValueError where a ring leaves the picture or does not run along the edges of pixels.
    """
    starts, ends = [], []
    for ring in (np.array(ring) for part in parts for ring in part):
        if ring.dtype.kind not in "iu" or ring.ndim != 2 or ring.shape[1] != 2:
            raise ValueError("a ring must be a list of corners, x and y, in whole pixels")
        if (ring < 0).any() or (ring > (width, height)).any():
            raise ValueError("a ring must lie within the picture")
        following = np.roll(ring, -1, axis=0)
        if not (ring == following).any(axis=1).all():
            raise ValueError("a ring must run along the edges of pixels")
        starts.append(ring)
        ends.append(following)
    if not starts:
        return Mask(0, 0, 0, 0, np.zeros(1, np.uint32))
    first, last = np.concatenate(starts), np.concatenate(ends)
    left, top = first.min(axis=0).tolist()
    right, bottom = first.max(axis=0).tolist()
    crossings = np.zeros((bottom - top, right - left + 1), bool)
    for (x, y), (_, y_end) in zip(first.tolist(), last.tolist(), strict=True):
        crossings[min(y, y_end) - top : max(y, y_end) - top, x - left] ^= True
    inside = np.logical_xor.accumulate(crossings, axis=1)[:, :-1]
    return Mask.from_bitmap(inside, x=left, y=top)


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
