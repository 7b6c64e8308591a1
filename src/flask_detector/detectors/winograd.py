"""Convolutions of 3x3 with a quarter of the multiplications: Winograd's F(4x4, 3x3), out of matrix products.

A tile of 4x4 results depends on 6x6 cells. Both, and the weights, are transformed linearly; between the
transforms a convolution is 36 products of matrices. Maps are tables of rows, a cell's channels each, and what
comes out is ordered by tiles: nothing is moved until somebody reads it, who asks `places` where a cell is.
Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308, 4.3.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.openvino_runtime import opset

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Node = Any
Matrix = list[list[float]]

SIDE: Final = 4
CELLS: Final = SIDE**2
_SPAN: Final = SIDE + 2
PRODUCTS: Final = _SPAN**2

# A row that no table has. Gather gives zeros for it, which is what lies around a map.
_OUTSIDE: Final = np.iinfo(np.int32).max

_OF_INPUT: Final[Matrix] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_OF_WEIGHT: Final[Matrix] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OF_RESULT: Final[Matrix] = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]


def transformed(weight: Floats) -> Floats:
    """Return the weight (outputs, inputs, 3, 3) of a convolution for `convolution`, (36, outputs, inputs).

    It has four times the numbers, and is made within a millisecond: nobody needs to keep it.
    """
    outputs, inputs = weight.shape[:2]
    products: Floats = _both_ways(_OF_WEIGHT) @ weight.reshape(outputs * inputs, -1).T
    return products.reshape(PRODUCTS, outputs, inputs)


def convolution(rows: Node, tiles: Node, weight: Node, bias: Node, *, inputs: int, outputs: int) -> Node:
    """Return the convolution, with padding 1 and stride 1, of some tiles, (16 * tiles, outputs).

    rows: a table, (N, inputs). tiles: (36, tiles) int32, see `neighbourhoods`. weight: see `transformed`.
    bias: (1, outputs). The result is ordered by the place within the tile, then by tile.
    """
    cells = _reshape(opset.gather(rows, tiles, opset.constant(np.int64(0))), [PRODUCTS, -1])
    spread = opset.matmul(opset.constant(_both_ways(_OF_INPUT)), cells, False, False)
    products = opset.matmul(_reshape(spread, [PRODUCTS, -1, inputs]), weight, False, True)
    found = opset.matmul(
        opset.constant(_both_ways(_OF_RESULT)), _reshape(products, [PRODUCTS, -1]), False, False
    )
    return opset.add(_reshape(found, [-1, outputs]), bias)


def places(height: int, width: int, block: int) -> Ints:
    """Return the row (height, width) of each cell of a map in the table of its blocks of tiles."""
    y, x = np.indices((height, width))
    tile = y // SIDE * -(-width // SIDE) + x // SIDE
    found: Ints = tile // block * block * CELLS + (y % SIDE * SIDE + x % SIDE) * block + tile % block
    return found


def neighbourhoods(cells: Ints, block: int = 1) -> npt.NDArray[np.int32]:
    """Return the rows that each tile of a map depends on, (blocks, 36, block); the last block is filled up.

    cells: (height, width), the row of each cell of the map.
    """
    padding = [(1, -side % SIDE + 1) for side in cells.shape]
    padded = np.pad(cells, padding, constant_values=_OUTSIDE)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (_SPAN, _SPAN))[::SIDE, ::SIDE]
    tiles = windows.reshape(-1, PRODUCTS)
    filled = np.pad(tiles, [(0, -len(tiles) % block), (0, 0)], constant_values=_OUTSIDE)
    return np.ascontiguousarray(filled.reshape(-1, block, PRODUCTS).transpose(0, 2, 1), np.int32)


def _both_ways(matrix: Matrix) -> Floats:
    """Return the transform of a square, down and across, from one of a line."""
    return np.kron(matrix, matrix).astype(np.float32)


def _reshape(x: Node, shape: list[int]) -> Node:
    return opset.reshape(x, opset.constant(np.array(shape, np.int64)), False)
