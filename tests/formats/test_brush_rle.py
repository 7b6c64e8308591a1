"""Label Studio's brush encoding, to and fro; its own reader and writer are tried in test_readers.py."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_detector.formats.brush_rle import packed, unpacked
from flask_detector.structures.masks import Mask


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_a_mask_comes_back(width: int, height: int, random: Random) -> None:
    bits = np.array([[random.random() < 0.3 for _ in range(width)] for _ in range(height)])
    mask = Mask.from_bitmap(bits)
    again = unpacked(packed(mask, width=width, height=height), width=width, height=height)
    assert again.to_rle(width=width, height=height) == mask.to_rle(width=width, height=height)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [0] * 9,
        [0, 0, 0, 16, 56, 255],
        [-1],
        [256],
        packed(Mask.from_bitmap(np.ones((3, 3), bool)), width=3, height=3),
    ],
)
def test_what_is_cut_short_or_of_another_size_is_refused(data: list[int]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        unpacked(data, width=2, height=2)
