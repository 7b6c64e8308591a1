"""The objects of one picture, checked: cut at its border, each once, what can't be kept said."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flask_detector.datasets.remarks import Remarks, Unusable
from flask_detector.datasets.shapes import Ring, Shape
from flask_detector.structures.annotation import Annotation, follow_pixels
from flask_detector.structures.annotations import MOST_OBJECTS
from flask_detector.structures.boxes import Box
from flask_detector.structures.labels import problem_of
from flask_detector.structures.masks import Mask
from flask_detector.structures.polygons import MOST_COLUMNS, columns_of, mask_of, parts_of, without_holes

# A corner that was written as a share of the picture's side comes back beside the edge of its pixel.
_SNAP: Final = 0.02
# What rounding moves a box out of the picture, and VOC's counting from 1 where its writer counted from 0.
_UNSAID_PIXELS: Final = 1.0
# Of all outlines of a picture together; filling them takes seconds.
_MOST_COLUMNS: Final = 10 * MOST_COLUMNS


class Objects:
    """The objects of one picture, as they are taken in: `kept`."""

    def __init__(self, width: int, height: int, remarks: Remarks) -> None:
        self._width, self._height, self._remarks = width, height, remarks
        self.kept: list[Annotation] = []
        self._seen: set[tuple[object, ...]] = set()
        self._columns_left = _MOST_COLUMNS

    def add(self, shapes: Iterable[Shape]) -> None:
        """Take objects in, or say why not; shapes of one group are one object."""
        for shape in _united(shapes):
            try:
                self.kept.append(self._annotation(shape))
            except ValueError as error:
                self._remarks.left_out(shape.where, str(error))
            else:
                if shape.note:
                    self._remarks.changed(shape.where, shape.note)

    def _annotation(self, shape: Shape) -> Annotation:
        """Return an object; raises ValueError with a reason."""
        if (problem := problem_of(shape.label)) is not None:
            raise Unusable(f"has a label that {problem}")
        if len(self.kept) >= MOST_OBJECTS:
            raise Unusable(f"is beyond the {MOST_OBJECTS:,} objects that a picture may have")
        rings = [_snapped(ring) for ring in shape.rings]
        inside = [ring for ring in (self._cut(ring) for ring in rings) if len(ring)]
        box = self._box(shape.box or _bounds(rings, shape.mask), shape)
        mask = shape.mask
        if rings:
            mask = self._filled(inside)
            if mask.area == 0:
                self._remarks.changed(shape.where, "covers no pixel's centre; kept as a box")
        if mask is not None and (mask.x + mask.width > self._width or mask.y + mask.height > self._height):
            raise Unusable("has a mask that leaves the picture")
        if mask is not None and mask.area == 0:
            mask = None
        key = (shape.label, box, b"" if mask is None else mask.counts.tobytes())
        if key in self._seen:
            raise Unusable("is there twice")
        self._seen.add(key)
        # What has no score, or one of 1, which models don't give, a person has drawn or agreed with.
        by_model = shape.score is not None and 0 <= shape.score < 1
        outlines = [[_plain(ring)] for ring in inside]
        is_drawn = mask is not None and bool(outlines) and not follow_pixels(outlines)
        return Annotation(
            id=f"i{len(self.kept)}",
            label=shape.label,
            source="model" if by_model else "person",
            score=shape.score if by_model else None,
            verified=shape.verified,
            box=box,
            mask=mask,
            polygons=outlines if is_drawn else None,
        )

    def _filled(self, rings: Sequence[Ring]) -> Mask:
        self._columns_left -= sum(map(columns_of, rings))
        if self._columns_left < 0:
            raise Unusable("has outlines that are too long, with those of the objects before it")
        try:
            return mask_of([[ring.tolist()] for ring in rings], width=self._width, height=self._height)
        except ValueError:  # since it is an outline within the picture
            raise Unusable("has outlines that are too long") from None

    def _box(self, box: Box, shape: Shape) -> Box:
        """Return a box as far as it lies in the picture."""
        x1, y1, x2, y2 = (round(float(side), 3) for side in box)
        if not (x1 < x2 and y1 < y2):
            raise Unusable("has a box without an area")
        cut = max(x1, 0.0), max(y1, 0.0), min(x2, float(self._width)), min(y2, float(self._height))
        if not (cut[0] < cut[2] and cut[1] < cut[3]):
            raise Unusable("lies outside the picture")
        if np.abs(np.subtract(cut, (x1, y1, x2, y2))).max() > _UNSAID_PIXELS:
            self._remarks.changed(shape.where, "reached outside the picture; cut at its border")
        return cut

    def _cut(self, ring: Ring) -> Ring:
        """Return a ring as far as it lies in the picture (Sutherland and Hodgman, 1974)."""
        for axis, limit, sign in ((0, 0, 1), (0, self._width, -1), (1, 0, 1), (1, self._height, -1)):
            before = np.roll(ring, 1, axis=0)
            here, there = (ring[:, axis] - limit) * sign, (before[:, axis] - limit) * sign
            if (here >= 0).all():
                continue
            crosses = (here >= 0) != (there >= 0)
            share = np.divide(there, there - here, out=np.zeros_like(here), where=crosses)[:, None]
            crossing = before + share * (ring - before)
            crossing[:, axis] = limit
            pairs = np.stack([crossing, ring], axis=1)
            ring = pairs[np.stack([crosses, here >= 0], axis=1)]
        # Where a line leaves at a corner, the crossing may be outside by the last digit.
        ring = np.clip(ring, 0, (self._width, self._height))
        ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
        return ring if len(ring) >= 3 else ring[:0]


def _united(shapes: Iterable[Shape]) -> Iterable[Shape]:
    """Yield the shapes that stand alone as they come, then those of each group as one."""
    groups: dict[tuple[str, object], list[Shape]] = {}
    for shape in shapes:
        if shape.group is None:
            yield shape
        else:
            groups.setdefault((shape.label, shape.group), []).append(shape)
    for parts in groups.values():
        outlined = all(part.rings or part.mask for part in parts)
        if len(parts) == 1 or not outlined:
            yield from parts
        else:
            yield replace(
                parts[0], box=None, mask=None, rings=[ring for part in parts for ring in _rings(part)]
            )


def _rings(shape: Shape) -> Sequence[Ring]:
    if shape.mask is None:
        return shape.rings
    return [without_holes(part).astype(np.float64) for part in parts_of(shape.mask)]


def _snapped(ring: Ring) -> Ring:
    """Return the ring with all corners on corners of pixels if all nearly are."""
    rounded = ring.round()
    return rounded if (np.abs(ring - rounded) < _SNAP).all() else ring


def _bounds(rings: Sequence[Ring], mask: Mask | None) -> Box:
    if rings:
        corners = np.concatenate(rings)
        (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return x1, y1, x2, y2
    if mask is None or mask.area == 0:
        raise Unusable("has neither a box nor an outline")
    return mask.x, mask.y, mask.x + mask.width, mask.y + mask.height


def _plain(ring: Ring) -> list[list[float]]:
    """Return a ring as lists, in whole pixels if it is."""
    rounded = ring.round()
    plain: list[list[float]] = (
        rounded.astype(np.int64) if (ring == rounded).all() else ring.round(3)
    ).tolist()
    return plain
