"""One object of a picture as a person has corrected it, and how it is read from the document.

What can't be used is named by its field, ``objects[3].box``, since these documents are written by people's
browsers and programs.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np

from flask_detector.structures.boxes import Box
from flask_detector.structures.detections import Source
from flask_detector.structures.labels import problem_of
from flask_detector.structures.masks import MOST_PIXELS, Mask
from flask_detector.structures.polygons import MOST_COLUMNS, columns_of, mask_of

LONGEST_ID = 40
BOX_DIGITS, SCORE_DIGITS = 3, 6
"""After the point, as in results."""

# Outlines of all objects of a picture together; filling them takes seconds.
_MOST_COLUMNS = 10 * MOST_COLUMNS
_OPTIONAL = frozenset({"source", "score", "verified", "box", "mask", "polygons"})

# Of an object's outlines as a person drew them: for each part its rings, for each of these its corners.
Polygons = Sequence[Sequence[Sequence[Sequence[float]]]]


class AnnotationError(ValueError):
    """Annotations that can't be used; `field` says where, and is empty for the whole document."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field or 'The document'} {problem}.")
        self.field = field


@dataclass(frozen=True)
class Annotation:
    """One object.

    id: unique in the picture; "m0", "m1", … for what the model found, by its place in the result.
    source: "model" where the object is as the model said, else "person".
    score: the model's, in 0..1; None for an object that a person added.
    verified: whether a person has agreed with it.
    box: x1, y1, x2, y2 in pixels, within the picture, of some area.
    mask: None where the object is only a box.
    polygons: the outlines that the mask was drawn by, if they were; they cover the mask's pixels. Outlines
        along the edges of pixels are not kept: they follow from the mask.
    """

    id: str
    label: str
    source: Source
    score: float | None
    verified: bool
    box: Box
    mask: Mask | None = None
    polygons: Polygons | None = None

    def is_like(self, said: "Annotation") -> bool:
        """Return whether it is the same object in the same place; a mask that is missing is taken for it."""
        if self.mask is not None and (said.mask is None or not _same_pixels(self.mask, said.mask)):
            return False
        return (self.label, self.box) == (said.label, said.box)


class Reader:
    """Reads the objects of one picture."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._columns_left = _MOST_COLUMNS

    def read(self, entry: Any, field: str) -> Annotation:
        """Return one object; raises AnnotationError."""
        form = fields_of(entry, field, ("id", "label"), _OPTIONAL)
        require(isinstance(form["id"], str), f"{field}.id", "must be a text")
        check_label(form["label"], f"{field}.label")
        source = form.get("source", "person")
        require(source in get_args(Source), f"{field}.source", "must be model or person")
        score = form.get("score")
        require(score is None or _is_number(score), f"{field}.score", "must be a number, or null")
        mask = self._mask(form, field)
        return Annotation(
            form["id"],
            form["label"],
            source,
            None if score is None else round(float(score), SCORE_DIGITS),
            bool_of(form.get("verified", False), f"{field}.verified"),
            self._box(form.get("box"), mask, f"{field}.box"),
            mask,
            None if mask is None or follow_pixels(form.get("polygons") or []) else form["polygons"],
        )

    def _mask(self, form: Mapping[str, Any], field: str) -> Mask | None:
        polygons, rle = form.get("polygons"), form.get("mask")
        name = f"{field}.mask" if polygons is None else f"{field}.polygons"
        try:
            if polygons is not None:
                return self._filled(polygons, name)
            if rle is None:
                return None
            if [self._height, self._width] != list(fields_of(rle, name, ("size", "counts"))["size"]):
                raise ValueError("its size must be the picture's height and width")
            return Mask.from_rle(rle)
        except AnnotationError:
            raise
        except (ValueError, TypeError) as error:
            raise AnnotationError(name, f"can't be used: {error}") from error

    def _filled(self, polygons: Any, field: str) -> Mask:
        for part in list_of(polygons, field):
            for ring in list_of(part, field):
                for corner in list_of(ring, field):
                    ok = isinstance(corner, list) and len(corner) == 2 and all(map(_is_number, corner))
                    if not ok:
                        raise ValueError("a corner must be x and y in pixels")
                self._columns_left -= columns_of(ring) if ring else 0
                if self._columns_left < 0:
                    raise ValueError("the outlines of the picture's objects are too long together")
        return mask_of(polygons, width=self._width, height=self._height)

    def _box(self, box: Any, mask: Mask | None, field: str) -> Box:
        if box is None and mask is not None:
            box = [mask.x, mask.y, mask.x + mask.width, mask.y + mask.height]
        ok = isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))
        require(ok, field, "must be four finite numbers, x1, y1, x2, y2")
        return rounded(box)


def _same_pixels(a: Mask, b: Mask) -> bool:
    """Return whether two cropped masks cover the same pixels."""
    return (a.x, a.y, a.width, a.height) == (b.x, b.y, b.width, b.height) and np.array_equal(
        a.counts, b.counts
    )


def follow_pixels(polygons: Polygons) -> bool:
    """Return whether outlines run along the edges of pixels."""
    rings = [np.array(ring) for part in polygons for ring in part]
    return all(
        ring.dtype.kind == "i" and (ring == np.roll(ring, 1, axis=0)).any(axis=1).all() for ring in rings
    )


def rounded(box: Sequence[float]) -> Box:
    """Return a box as it is kept, xyxy."""
    x1, y1, x2, y2 = (round(float(side), BOX_DIGITS) for side in box)
    return x1, y1, x2, y2


def require(holds: bool, field: str, problem: str) -> None:
    """Raise AnnotationError unless something holds."""
    if not holds:
        raise AnnotationError(field, problem)


def fields_of(
    value: Any, field: str, required: Sequence[str], optional: AbstractSet[str] = frozenset()
) -> dict[str, Any]:
    """Return an object of JSON that has these fields and no others; raises AnnotationError."""
    require(isinstance(value, dict), field, "must be an object")
    before = f"{field}." if field else ""
    for name in required:
        require(name in value, f"{before}{name}", "is missing")
    for name in value:
        require(name in required or name in optional, f"{before}{name[:LONGEST_ID]}", "is no known field")
    return cast(dict[str, Any], value)


def list_of(value: Any, field: str) -> list[Any]:
    """Return a list of JSON; raises AnnotationError."""
    require(isinstance(value, list), field, "must be a list")
    return cast(list[Any], value)


def bool_of(value: Any, field: str) -> bool:
    """Return a truth value of JSON; raises AnnotationError."""
    require(isinstance(value, bool), field, "must be true or false")
    return bool(value)


def check_label(label: Any, field: str) -> None:
    """Raise AnnotationError for what can't be a class's name."""
    require(isinstance(label, str), field, "must be a text")
    if (problem := problem_of(label)) is not None:
        raise AnnotationError(field, problem)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def is_side(value: Any) -> bool:
    """Return whether a value can be a picture's width or height."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_PIXELS
