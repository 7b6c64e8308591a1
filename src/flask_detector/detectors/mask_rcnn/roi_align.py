"""RoIAlign as a weighted sum of rows.

The feature of a bin is the mean of samples on a regular grid in it, each interpolated bilinearly between four
cells. Both are products of a part down and a part across, so a bin is a sum over a few rows times a few
columns of the map, each with one weight: the product of the two axes'. What is left is a sum of rows of
channels, which is the fastest way for the engine to get at them.

Source: He et al., "Mask R-CNN" (2017), section 3; the details are those of mmcv's and torchvision's
operators (Detectron2 uses the latter).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.box_coding import STRIDES
from flask_detector.detectors.mask_rcnn.variants import Origin

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Taps:
    """Which rows of the table make up which bin.

    indices: (T,) int32, rows of the table.
    weights: (T,) float32.
    offsets: (bins,) int32, where each bin's taps begin; bins are ordered box, y, x.
    """

    indices: npt.NDArray[np.int32]
    weights: Floats
    offsets: npt.NDArray[np.int32]


def taps(
    boxes: Floats, levels: Ints, grids: Sequence[tuple[int, int]], *, cells: int, origin: Origin
) -> Taps:
    """Return the taps of boxes (N, 4), xyxy in pixels of the network's input, each on its own level.

    The table holds the maps of all levels one behind the other, each (rows * columns, channels).

    levels: (N,) the index of each box's level.
    grids: rows and columns of each level's map.
    cells: bins of a box down and across.
    """
    rules = origin.rules
    strides = np.array(STRIDES, np.float32)[levels]
    sides = np.array(grids, np.int64)[levels]
    starts_of_levels = np.cumsum([0, *(rows * columns for rows, columns in grids[:-1])])[levels]
    scaled = boxes * (np.float32(1) / strides)[:, None]
    if rules.aligned:
        scaled = scaled - np.float32(0.5)
    lengths = scaled[:, 2:] - scaled[:, :2]
    if not rules.aligned:
        lengths = np.maximum(lengths, np.float32(1))
    if rules.samples is None:
        samples = np.ceil(lengths / np.float32(cells)).astype(np.int64)
    else:
        samples = np.full(lengths.shape, rules.samples)
    across = _axis(scaled[:, 0], lengths[:, 0], samples[:, 0], sides[:, 1], cells)
    down = _axis(scaled[:, 1], lengths[:, 1], samples[:, 1], sides[:, 0], cells)
    return _outer(down, across, starts_of_levels, sides[:, 1])


@dataclass(frozen=True)
class _Axis:
    """Taps along one axis: for each box and bin (N, cells) their number and where they begin in the lists."""

    counts: Ints
    begins: Ints
    places: Ints
    weights: Floats


def _axis(start: Floats, length: Floats, samples: Ints, limit: Ints, cells: int) -> _Axis:
    count = len(start)
    bin_length = length / np.float32(cells)
    # One entry for each sample; `owner` is its bin among all boxes' bins, `within` its number in the bin.
    samples_of_bins = np.repeat(samples, cells)
    owner = np.repeat(np.arange(count * cells), samples_of_bins)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(samples_of_bins) - samples_of_bins, samples_of_bins)
    box, number = np.divmod(owner, cells)
    place = (
        start[box]
        + number.astype(np.float32) * bin_length[box]
        + (within.astype(np.float32) + np.float32(0.5)) * bin_length[box] / samples[box].astype(np.float32)
    )
    last = limit[box] - 1
    weight = ((place >= -1) & (place <= limit[box])) / samples[box].astype(np.float32)
    place = np.maximum(place, np.float32(0))
    low = np.minimum(place.astype(np.int64), last)
    part = np.where(low == last, np.float32(0), place - low.astype(np.float32))
    # Samples of a bin share cells: add up their weights in a list of the bin's cells from its first on.
    first = np.zeros(count * cells, np.int64)
    first[owner[within == 0]] = low[within == 0]
    span = np.zeros(count * cells, np.int64)
    span[owner] = low - first[owner] + 2
    begins = np.cumsum(span) - span
    slot = begins[owner] + low - first[owner]
    total = int(span.sum())
    sums = np.bincount(slot, weight * (1 - part), total) + np.bincount(slot + 1, weight * part, total)
    bin_of_slot = np.repeat(np.arange(count * cells), span)
    places = first[bin_of_slot] + np.arange(total) - begins[bin_of_slot]
    used = sums != 0
    counts = np.bincount(bin_of_slot[used], minlength=count * cells)
    return _Axis(
        counts.reshape(count, cells),
        (np.cumsum(counts) - counts).reshape(count, cells),
        places[used],
        sums[used].astype(np.float32),
    )


def _outer(down: _Axis, across: _Axis, starts: Ints, columns: Ints) -> Taps:
    count, cells = down.counts.shape
    shape = (count, cells, cells)
    rows_of_bin = np.broadcast_to(down.counts[:, :, None], shape).reshape(-1)
    columns_of_bin = np.broadcast_to(across.counts[:, None, :], shape).reshape(-1)
    # First one entry for each row of each bin, then one for each cell of each row.
    owner = np.repeat(np.arange(len(rows_of_bin)), rows_of_bin)
    begin = np.cumsum(rows_of_bin) - rows_of_bin
    box, place = np.divmod(owner, cells * cells)
    row = down.begins[box, place // cells] + np.arange(len(owner)) - begin[owner]
    first_of_row = starts[box] + down.places[row] * columns[box]
    width = columns_of_bin[owner]
    total = int(width.sum())
    shift = across.begins[box, place % cells] - (np.cumsum(width) - width)
    column = np.repeat(shift, width) + np.arange(total)
    indices = np.repeat(first_of_row, width) + across.places[column]
    weights = np.repeat(down.weights[row], width) * across.weights[column]
    taps_of_bin = rows_of_bin * columns_of_bin
    offsets = np.cumsum(taps_of_bin) - taps_of_bin
    return Taps(indices.astype(np.int32), weights, offsets.astype(np.int32))
