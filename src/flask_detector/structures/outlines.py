"""Boxes over a small copy of a picture, as the data of SVG paths."""

from collections.abc import Sequence

# Of the longer side: finer than a small copy's pixels.
_STEPS = 400


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of the grid that the outlines in a picture of that size are on."""
    scale = _scale(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def outline_of(box: Sequence[float], width: int, height: int) -> str:
    """Return a box, xyxy in pixels of a picture of that size, as a part of a path on its grid."""
    x1, y1, x2, y2 = (round(side * _scale(width, height)) for side in box)
    return f"M{x1} {y1}H{x2}V{y2}H{x1}z"


def _scale(width: int, height: int) -> float:
    return _STEPS / max(width, height, 1)
