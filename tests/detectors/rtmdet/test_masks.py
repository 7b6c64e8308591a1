"""Masks brought to a picture's size, against the plain way: the whole resized twice, then a threshold."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from flask_detector.detectors.rtmdet.masks import MaskScaler
from flask_detector.structures.masks import Mask

Floats = npt.NDArray[np.float64]


def resized(values: Floats, new: int) -> Floats:
    """Rows as PyTorch's bilinear resize makes them, align_corners=False, without antialiasing."""
    old = len(values)
    places = np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0)
    lower = np.minimum(places.astype(int), old - 1)
    upper = np.minimum(lower + 1, old - 1)
    share = (places - lower)[:, None]
    found: Floats = values[lower] * (1 - share) + values[upper] * share
    return found


def plain(logits: Floats, width: int, height: int, scale: tuple[float, float]) -> npt.NDArray[np.bool_]:
    large = resized(resized(logits, 640).T, 640).T
    rows, columns = math.ceil(640 * (1 / scale[0])), math.ceil(640 * (1 / scale[1]))
    scaled = resized(resized(large, rows).T, columns).T[:height, :width]
    whole = np.zeros((height, width), bool)
    whole[: scaled.shape[0], : scaled.shape[1]] = scaled > 0
    return whole


def bitmap_of(mask: Mask, width: int, height: int) -> npt.NDArray[np.bool_]:
    whole = np.zeros((height, width), bool)
    whole[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    return whole


@pytest.mark.parametrize(
    ("width", "height"),
    [(640, 427), (427, 640), (1024, 683), (683, 1024), (97, 61), (640, 640), (1, 900), (1300, 3)],
)
@pytest.mark.parametrize("kind", ["noise", "blob", "all", "none", "corner"])
def test_a_mask_is_where_the_enlarged_logits_are_positive(width: int, height: int, kind: str) -> None:
    random = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:80, :80]
    logits = {
        "noise": random.normal(size=(80, 80)),
        "blob": 9.3 - np.hypot(x - 20.3, y - 11.8),
        "all": np.full((80, 80), 0.5),
        "none": np.full((80, 80), -0.5),
        "corner": np.where((x + y) < 2, 1.0, -1.0),
    }[kind].astype(np.float32)
    long = max(width, height)
    sides = [max(int(side * 640 / long + 0.5), 1) for side in (width, height)]
    scale = (sides[0] / width, sides[1] / height)
    mask = MaskScaler(width=width, height=height, scale=scale).mask(logits)
    expected = plain(logits.astype(np.float64), width, height, scale)
    ours = bitmap_of(mask, width, height)
    assert mask.area == ours.sum()
    # A pixel whose value is 0 but for rounding may fall on either side.
    assert (ours != expected).sum() <= max(1, 2e-5 * expected.size)


def test_a_mask_of_nothing_is_empty() -> None:
    mask = MaskScaler(width=40, height=30, scale=(16.0, 16.0)).mask(np.full((80, 80), -1, np.float32))
    assert (mask.width, mask.height, mask.area) == (0, 0, 0)
