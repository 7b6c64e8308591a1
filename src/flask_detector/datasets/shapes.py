"""An object as a label file has it, before it is checked; and the numbers of strangers, read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flask_detector.datasets.remarks import Unusable
from flask_detector.structures.boxes import Box
from flask_detector.structures.masks import Mask

Ring = npt.NDArray[np.float64]

_BEYOND: Final = 1e9  # no picture's coordinates come near
_CORNERS: Final = 180  # of an ellipse: within a tenth of a pixel of one of 1,000 pixels


@dataclass(frozen=True, eq=False)
class Shape:
    """An object, in pixels of the picture that the label file is for.

    where: for remarks, such as ``labels/a.txt, line 3``.
    box: None where it is that of the outlines or the mask.
    rings: outlines, corners (K, 2), of which each encloses a part; they make the mask.
    score: of the model that found it; None where a person has drawn it.
    verified: whether a person has agreed with it.
    group: shapes of one label that have the same are parts of one object; None where it stands alone.
    note: what was not kept of it, as a predicate.
    """

    where: str
    label: str
    box: Box | None = None
    rings: Sequence[Ring] = ()
    mask: Mask | None = None
    score: float | None = None
    verified: bool = False
    group: str | int | None = None
    note: str | None = None


def ring_of(points: object) -> Ring:
    """Return corners as an array (K, 2); raises Unusable where they are no outline of numbers."""
    try:
        ring = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        ring = np.zeros(0)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise Unusable("has an outline of fewer than three corners, or of something else than numbers")
    if not (np.abs(ring) < _BEYOND).all():
        raise Unusable("has an outline far outside any picture")
    return ring


def rectangle_ring(box: Box, degrees: float, *, around: tuple[float, float] | None = None) -> Ring:
    """Return the corners of a box turned clockwise around a point, or else its middle."""
    x1, y1, x2, y2 = box
    pivot = around or ((x1 + x2) / 2, (y1 + y2) / 2)
    return _turned(np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]), degrees, pivot)


def ellipse_ring(x: float, y: float, radii: tuple[float, float], degrees: float = 0) -> Ring:
    """Return the outline of an ellipse around a point, turned clockwise; raises Unusable."""
    if not min(radii) > 0:
        raise Unusable("has an ellipse without an area")
    angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + (x, y)
    return _turned(outline, degrees, (x, y))


def _turned(ring: Ring, degrees: float, pivot: tuple[float, float]) -> Ring:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned: Ring = (ring - pivot) @ np.array([(c, s), (-s, c)]) + pivot
    return turned


def numbers_of(values: object, count: int) -> list[float]:
    """Return so many finite numbers; raises Unusable. Texts are read, as XML and text files have them."""
    try:
        if not isinstance(values, list | tuple) or len(values) != count or bool in map(type, values):
            raise ValueError
        numbers = [float(value) for value in values]
        if not all(abs(number) < _BEYOND for number in numbers):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise Unusable("has something else than numbers for its place") from None
    return numbers


def label_of(label: object) -> str:
    """Return a label that is a text or a number; raises Unusable."""
    if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
        raise Unusable("has no label")
    return str(label)


def size_of(width: object, height: object) -> tuple[int, int] | None:
    """Return a size that a label file gives; None where it gives none that can be one."""
    try:
        (w, h) = numbers_of((width, height), 2)
    except Unusable:
        return None
    return (int(w), int(h)) if w >= 1 and h >= 1 else None


def score_of(entry: Mapping[str, Any]) -> float | None:
    """Return the score that an object has from a model."""
    score = entry.get("score")
    return float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None


def is_true_in(entry: Mapping[str, Any], key: str, name: str) -> bool:
    """Return whether `entry[key][name]` is there and true, as our own exports have it."""
    inner = entry.get(key)
    return isinstance(inner, dict) and inner.get(name) is True
