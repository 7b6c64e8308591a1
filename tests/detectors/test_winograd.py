"""Winograd's convolution against the direct one, which the engine computes itself."""

import numpy as np
import pytest

from flask_detector.detectors import winograd
from flask_detector.detectors.openvino_runtime import Graph, Session, opset

INPUTS, OUTPUTS = 24, 8

RANDOM = np.random.default_rng(0)
# Results are about 1 large.
WEIGHT = (RANDOM.standard_normal((OUTPUTS, INPUTS, 3, 3)) / (9 * INPUTS) ** 0.5).astype(np.float32)
BIAS = RANDOM.standard_normal((1, OUTPUTS)).astype(np.float32)


def direct(image: winograd.Floats) -> winograd.Floats:
    """Return the convolution of (rows, columns, channels)."""
    picture = opset.parameter([1, INPUTS, *image.shape[:2]], np.float32)
    convolved = opset.convolution(picture, opset.constant(WEIGHT), [1, 1], [1, 1], [1, 1], [1, 1])
    session = Session(Graph([convolved], [picture], "direct"), threads=1)
    (maps,) = session.run([np.ascontiguousarray(image.transpose(2, 0, 1)[None])])
    found: winograd.Floats = maps[0].transpose(1, 2, 0) + BIAS[0]
    return found


def by_tiles(table: winograd.Floats, cells: winograd.Ints, block: int) -> winograd.Floats:
    """Return the same of a map whose cells (rows, columns) are these rows of the table."""
    rows = opset.parameter([-1, INPUTS], np.float32)
    tiles = opset.parameter([winograd.PRODUCTS, block], np.int32)
    kernel = opset.constant(winograd.transformed(WEIGHT))
    found = winograd.convolution(rows, tiles, kernel, opset.constant(BIAS), inputs=INPUTS, outputs=OUTPUTS)
    session = Session(Graph([found], [rows, tiles], "tiles"), threads=1)
    blocks = [session.run([table, one])[0].copy() for one in winograd.neighbourhoods(cells, block)]
    answer: winograd.Floats = np.concatenate(blocks)[winograd.places(cells.shape[0], cells.shape[1], block)]
    return answer


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 9), (3, 4), (4, 3), (5, 5), (6, 7), (8, 8), (9, 2), (13, 17)]
)
@pytest.mark.parametrize("block", [1, 3, 4, 64])
def test_it_equals_the_direct_convolution_for_any_size_and_any_remainder(
    height: int, width: int, block: int
) -> None:
    image = RANDOM.standard_normal((height, width, INPUTS)).astype(np.float32)
    cells = np.arange(height * width).reshape(height, width)
    ours = by_tiles(image.reshape(-1, INPUTS), cells, block)
    assert np.abs(ours - direct(image)).max() < 5e-5


def test_cells_may_lie_anywhere_in_the_table() -> None:
    height, width = 7, 10
    image = RANDOM.standard_normal((height, width, INPUTS)).astype(np.float32)
    table = np.full((200, INPUTS), np.nan, np.float32)
    cells = RANDOM.permutation(200)[: height * width].reshape(height, width)
    table[cells] = image
    assert np.abs(by_tiles(table, cells, 2) - direct(image)).max() < 5e-5


def test_a_large_map_is_no_less_exact_inside_than_at_its_borders() -> None:
    image = RANDOM.standard_normal((70, 90, INPUTS)).astype(np.float32)
    ours = by_tiles(image.reshape(-1, INPUTS), np.arange(70 * 90).reshape(70, 90), 32)
    error = np.abs(ours - direct(image))
    assert error.max() < 5e-5
    assert np.sqrt(np.mean(error**2)) < 2e-6
