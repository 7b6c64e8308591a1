"""Masks: each instance's own three convolutions over the mask features, brought to the picture's size.

A mask of RTMDet-Ins is not cut to its box. It is enlarged by 8, then to the picture's size, both bilinearly,
and is where that is over 0. Down a column such a mask is a line through 640 samples, so it is enlarged across
alone: the places where each column's line goes through 0 are computed, and the run lengths follow from these.
Neither time nor memory depend on the picture's height.
Source: MMDetection 3.3.0, RTMDetInsHead._mask_predict_by_feat_single and _bbox_mask_post_process.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.rtmdet.architecture import DYNAMIC_CHANNELS, SIDE, STRIDES
from flask_detector.structures.boxes import Floats, Ints
from flask_detector.structures.masks import Mask

_GRID = SIDE // STRIDES[0]

# Instances whose convolutions are computed together.
_BLOCK = 10


def mask_logits(features: Floats, kernels: Floats, points: Floats, strides: Floats) -> Floats:
    """Return the logits (N, 80, 80) of N instances' masks on stride 8 of the letterboxed picture.

    features: (8, 6400). kernels: (N, 169) each instance's weights, then its biases.
    points, strides: (N, 2) and (N,), of the cell that each one comes from; coordinates are relative to it.
    """
    found = np.empty((len(kernels), _GRID * _GRID), np.float32)
    rows, columns = np.mgrid[:_GRID, :_GRID].reshape(2, 1, -1).astype(np.float32) * np.float32(STRIDES[0])
    for start in range(0, len(kernels), _BLOCK):
        block = slice(start, start + _BLOCK)
        x, y = (points[block, axis, None, None] for axis in (0, 1))
        reach = strides[block, None, None] * np.float32(8)
        count = len(x)
        values = np.concatenate(
            [(x - columns) / reach, (y - rows) / reach, np.broadcast_to(features, (count, *features.shape))],
            axis=1,
        )
        for i, (weights, biases) in enumerate(_convolutions(kernels[block])):
            if i:
                np.maximum(values, 0, out=values)
            values = weights @ values
            values += biases
        found[block] = values[:, 0]
    return found.reshape(-1, _GRID, _GRID)


def _convolutions(kernels: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield weights (N, out, in) and biases (N, out, 1) of the three convolutions, one instance a row."""
    weights_end = sum(inputs * outputs for inputs, outputs in DYNAMIC_CHANNELS)
    weight, bias = 0, weights_end
    for inputs, outputs in DYNAMIC_CHANNELS:
        weights = kernels[:, weight : weight + inputs * outputs].reshape(-1, outputs, inputs)
        yield weights, kernels[:, bias : bias + outputs, None]
        weight += inputs * outputs
        bias += outputs


class MaskScaler:
    """Brings masks of one picture to its size.

    width, height: of the picture.
    scale: across and down, pixels of the letterboxed picture for a pixel of the picture.
    """

    def __init__(self, *, width: int, height: int, scale: tuple[float, float]) -> None:
        # The original takes the factor across for the rows and that down for the columns. They differ by a
        # rounding, and so do masks near the far edges.
        across, down = scale
        self._width, self._height = width, height
        self._scaled_height = math.ceil(SIDE * (1 / across))
        scaled_width = math.ceil(SIDE * (1 / down))
        self._first = _Taps.of(_GRID, SIDE, SIDE)
        self._second = _Taps.of(SIDE, scaled_width, min(width, scaled_width))

    def mask(self, logits: Floats) -> Mask:
        """Return the mask in the picture of an instance's logits (80, 80): where they are over 0."""
        columns = self._second.of_rows(self._first.of_rows(logits)).T
        inside = columns > 0
        x, row = np.nonzero(inside[:, 1:] != inside[:, :-1])
        x, sample = _odd_ones(x, _first_sample_behind(columns, x, row), SIDE)
        before, behind = (_sampled(columns, x, at) for at in (sample - 1, sample))
        place = sample - 1 + before / (before - behind)
        y = np.floor((place + 0.5) * (self._scaled_height / SIDE) - 0.5).astype(np.int64) + 1
        return self._of_changes(inside[:, 0], x, np.maximum(y, 0))

    def _of_changes(self, begins_inside: npt.NDArray[np.bool_], x: Ints, y: Ints) -> Mask:
        """Return the mask of columns that begin inside or not and change in column x at pixel y."""
        end = min(self._height, self._scaled_height)
        seen = y < end
        x, y = x[seen], y[seen]
        ends_inside = begins_inside ^ (np.bincount(x, minlength=len(begins_inside)) % 2 == 1)
        if end < self._height:
            x = np.concatenate([x, np.flatnonzero(ends_inside)])
            y = np.concatenate([y, np.full(len(x) - len(y), end)])
            ends_inside = np.zeros_like(ends_inside)
        beyond = self._width > len(begins_inside)
        starts = np.concatenate([begins_inside, [False]] if beyond else [begins_inside])
        ends = np.concatenate([[False], ends_inside])[: len(starts)]
        turns = np.flatnonzero(starts != ends)
        x, y = _odd_ones(np.concatenate([x, turns]), np.concatenate([y, np.zeros_like(turns)]), self._height)
        edges = x * self._height + y
        counts = np.diff(edges, prepend=0, append=self._width * self._height)
        counts = counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts
        return Mask(0, 0, self._width, self._height, counts.astype(np.uint32)).cropped()


def _first_sample_behind(columns: Floats, x: Ints, row: Ints) -> Ints:
    """Return the first of the 640 samples of column x behind the place where it is 0 between two rows."""
    before, behind = columns[x, row], columns[x, row + 1]
    place = row + before / (before - behind)
    # Sample i lies at row (i + 0.5) / 8 - 0.5.
    first: Ints = np.floor((place + 0.5) * STRIDES[0] - 0.5).astype(np.int64) + 1
    return np.clip(first, 1, SIDE - 1)


def _sampled(columns: Floats, x: Ints, sample: Ints) -> Floats:
    """Return the samples of columns (W, 80) that are enlarged by 8 to (W, 640)."""
    place = np.clip((sample + 0.5) / STRIDES[0] - 0.5, 0, _GRID - 1)
    lower = place.astype(np.int64)
    share = (place - lower).astype(np.float32)
    found: Floats = columns[x, lower] * (1 - share) + columns[x, np.minimum(lower + 1, _GRID - 1)] * share
    return found


def _odd_ones(x: Ints, y: Ints, height: int) -> tuple[Ints, Ints]:
    """Return the places that are there an odd number of times, in order: two changes at one are none."""
    keys, numbers = np.unique(x * height + y, return_counts=True)
    return np.divmod(keys[numbers % 2 == 1], height)


@dataclass(frozen=True)
class _Taps:
    """A bilinear resize along an axis, with half-pixel centres and without antialiasing.

    lower, upper: the two that each new pixel lies between. share: the upper one's.
    """

    lower: Ints
    upper: Ints
    share: Floats

    @classmethod
    def of(cls, old: int, new: int, kept: int) -> Self:
        """Return the taps of the first `kept` of `new` pixels."""
        places = np.maximum((np.arange(kept) + 0.5) * (old / new) - 0.5, 0)
        lower = np.minimum(places.astype(np.int64), old - 1)
        return cls(lower, np.minimum(lower + 1, old - 1), (places - lower).astype(np.float32))

    def of_rows(self, values: Floats) -> Floats:
        """Return values (N, old) as (N, kept)."""
        resized: Floats = values[:, self.lower] * (1 - self.share) + values[:, self.upper] * self.share
        return resized
