"""Masks of exported networks, pixel by pixel."""

from typing import Literal

import numpy as np
import pytest

from flask_detector.detectors.onnx.fit import Fitted
from flask_detector.detectors.onnx.masks import MaskGrids, paste
from flask_detector.structures.boxes import Floats
from flask_detector.structures.masks import Mask

WIDTH, HEIGHT = 90, 70


def fitted(scale: float = 1.0) -> Fitted:
    pixels = np.zeros((1, round(HEIGHT * scale), round(WIDTH * scale), 3), np.float32)
    return Fitted(pixels, (scale, scale), 0, 0, WIDTH, HEIGHT)


def blob(height: int, width: int) -> Floats:
    """Return numbers that are over 0.5 in two spots apart from each other, and at the last corner."""
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    spots = [(0.3, 0.4, 0.08), (0.6, 0.7, 0.05), (1.0, 1.0, 0.1)]
    numbers = np.max([np.exp(-((x - a) ** 2 + (y - b) ** 2) / c**2) for a, b, c in spots], axis=0)
    return np.asarray(numbers, np.float32)


def interpolated(grid: Floats) -> Floats:
    """Return a grid over the picture at the centre of each pixel, by numpy alone."""
    for pixels in (WIDTH, HEIGHT):
        cells = grid.shape[1]
        places = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
        grid = np.array([np.interp(places, np.arange(cells), row) for row in grid], np.float32).T
    return grid


def in_picture(mask: Mask) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    return found


@pytest.mark.parametrize("over", ["input", "input within box"])
@pytest.mark.parametrize(("height", "width"), [(HEIGHT, WIDTH), (14, 18), (35, 45), (7, 9)])
def test_a_mask_is_where_the_grid_is_over_the_threshold_at_the_centres_of_pixels(
    height: int, width: int, over: Literal["input", "input within box"]
) -> None:
    grid = blob(height, width)
    box = np.array([20.0, 21.0, 70.0, 60.0], np.float32)
    expected = interpolated(grid) > 0.5
    if over == "input within box":
        x1, y1, x2, y2 = box.astype(int)
        outside = np.ones_like(expected)
        outside[y1:y2, x1:x2] = False
        expected[outside] = False
    assert expected.any()
    mask = paste(MaskGrids(lambda _: grid, 0.5, over), 0, box, fitted())
    assert (in_picture(mask) == expected).all()


def test_a_grid_without_a_cell_over_the_threshold_is_an_empty_mask() -> None:
    grids = MaskGrids(lambda _: np.full((14, 18), 0.5, np.float32), 0.5, "input")
    assert paste(grids, 0, np.array([0.0, 0.0, 5.0, 5.0], np.float32), fitted()).area == 0
