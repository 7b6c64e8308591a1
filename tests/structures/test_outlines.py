import numpy as np

from flask_detector.structures.masks import Mask
from flask_detector.structures.outlines import grid_of, outline_of, shape_of


def test_boxes_and_masks_lie_on_a_grid_of_400_on_the_longer_side() -> None:
    assert grid_of(800, 600) == (400, 300)
    assert outline_of((80, 40, 160, 120), 800, 600) == "M40 20H80V60H40z"
    inside = np.zeros((80, 80), bool)
    inside[:40] = inside[:, :40] = True
    assert shape_of(Mask.from_bitmap(inside, x=80, y=40), 800, 600) == "M40 20L80 20L80 40L60 40L60 60L40 60z"


def test_a_mask_has_its_holes_and_nothing_that_is_finer_than_the_grid() -> None:
    inside = np.ones((90, 90), bool)
    inside[30:60, 30:60] = False
    assert shape_of(Mask.from_bitmap(inside), 400, 400).count("M") == 2
    stairs = np.tri(400, dtype=bool)
    assert shape_of(Mask.from_bitmap(stairs), 400, 400).count("L") < 300  # of 800 corners
    assert shape_of(Mask.from_bitmap(np.ones((2, 2), bool)), 4000, 4000) == ""
