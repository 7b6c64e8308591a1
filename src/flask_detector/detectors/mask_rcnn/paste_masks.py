"""From an instance's mask of 28 x 28 to the pixels of the picture that it covers.

All enlarge the mask bilinearly to the size of its box. That is a product of two small matrices with
the mask, one for the rows and one for the columns; the pixels are made column by column a few columns at a
time and go straight into run lengths, so that even a mask over the whole of a large picture needs little
memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.structures.masks import Mask, counts_of_columns

Floats = npt.NDArray[np.float32]

THRESHOLD = 0.5

_PIXELS_AT_ONCE = 1 << 20
_TORCHVISION_BORDER = 1


def paste(probabilities: Floats, box: Floats, *, width: int, height: int, origin: Origin) -> Mask:
    """Return the mask in a picture of that size.

    probabilities: (28, 28), rows downwards, for the area of the box.
    box: (4,) xyxy in pixels of the picture; not clipped to it.

    origin: whose rules are followed, see `Rules.pastes_whole_pixels`.
    """
    if origin.rules.pastes_whole_pixels:
        probabilities = np.pad(probabilities, _TORCHVISION_BORDER)
        columns = _enlarged(box[0], box[2], len(probabilities), width)
        rows = _enlarged(box[1], box[3], len(probabilities), height)
    else:
        columns = _sampled(box[0], box[2], len(probabilities), width)
        rows = _sampled(box[1], box[3], len(probabilities), height)
    if len(columns.weights) == 0 or len(rows.weights) == 0:
        return Mask(0, 0, 0, 0, np.zeros(1, np.uint32))
    return Mask(
        columns.first,
        rows.first,
        len(columns.weights),
        len(rows.weights),
        counts_of_columns(_inside(columns.weights, probabilities.T @ rows.weights.T), len(rows.weights)),
    )


@dataclass(frozen=True)
class _Axis:
    """Pixels along one axis: the first, and for each how much of which cell it takes, (pixels, cells)."""

    first: int
    weights: Floats


def _sampled(start: np.float32, end: np.float32, cells: int, limit: int) -> _Axis:
    """Source: MMDetection 3.3.0, fcn_mask_head.py, _do_paste_mask, which is Detectron2's, on grid_sample."""
    first, last = max(int(np.floor(start)) - 1, 0), min(int(np.ceil(end)) + 1, limit)
    pixels = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        # In -1..1 over the box, as grid_sample takes it.
        place = ((pixels - start) / (end - start) * 2 - 1).astype(np.float32)
    place[~np.isfinite(place)] = 0
    cell = (((place + 1) * cells - 1) / 2).astype(np.float32)
    return _Axis(first, _interpolation(cell, cells))


def _enlarged(start: np.float32, end: np.float32, cells: int, limit: int) -> _Axis:
    """Source: torchvision 0.29.1, roi_heads.py, expand_boxes and paste_mask_in_image."""
    scale = np.float32(cells / (cells - 2 * _TORCHVISION_BORDER))
    half = (end - start) * np.float32(0.5) * scale
    centre = (end + start) * np.float32(0.5)
    low, high = int(centre - half), int(centre + half)
    count = max(high - low + 1, 1)
    first, last = max(low, 0), min(high + 1, limit)
    pixels = np.arange(first - low, max(last, first) - low, dtype=np.float32)
    place = np.float32(cells / count) * (pixels + np.float32(0.5)) - np.float32(0.5)
    return _Axis(first, _interpolation(np.clip(place, 0, cells - 1), cells))


def _interpolation(place: Floats, cells: int) -> Floats:
    """Return the weights (pixels, cells) of linear interpolation at places in cells; outside is nothing."""
    away: Floats = np.abs(place[:, None] - np.arange(cells, dtype=np.float32))
    return np.maximum(1 - away, np.float32(0))


def _inside(columns: Floats, rows: Floats) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield where columns (W, cells) @ rows (cells, H) is inside, a few columns at a time."""
    at_once = max(_PIXELS_AT_ONCE // rows.shape[1], 1)
    for start in range(0, len(columns), at_once):
        yield columns[start : start + at_once] @ rows >= np.float32(THRESHOLD)
