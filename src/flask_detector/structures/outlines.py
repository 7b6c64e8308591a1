"""Boxes and masks over a small copy of a picture, as the data of SVG paths."""

from collections.abc import Sequence

import numpy as np

from flask_detector.structures.masks import Mask
from flask_detector.structures.polygons import Ring, parts_of

# Of the longer side: finer than a small copy's pixels.
_STEPS = 400

# Corners of a mask that lie nearer to the one before are left out.
_LEAST_DISTANCE = 2


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of the grid that the outlines in a picture of that size are on."""
    scale = _scale(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def outline_of(box: Sequence[float], width: int, height: int) -> str:
    """Return a box, xyxy in pixels of a picture of that size, as a part of a path on its grid."""
    x1, y1, x2, y2 = (round(side * _scale(width, height)) for side in box)
    return f"M{x1} {y1}H{x2}V{y2}H{x1}z"


def shape_of(mask: Mask, width: int, height: int) -> str:
    """Return a mask in a picture of that size as a path on its grid, to be filled even-odd."""
    scale = _scale(width, height)
    rings = [ring for part in parts_of(mask) for ring in (part.outer, *part.holes)]
    return "".join(_path(np.rint(ring * scale).astype(int)) for ring in rings)


def _path(ring: Ring) -> str:
    kept = [ring[0]]
    for corner in ring[1:]:
        if np.abs(corner - kept[-1]).max() >= _LEAST_DISTANCE:
            kept.append(corner)
    # What is smaller than the grid is not seen.
    return f"M{'L'.join(f'{x} {y}' for x, y in kept)}z" if len(kept) > 2 else ""


def _scale(width: int, height: int) -> float:
    return _STEPS / max(width, height, 1)
