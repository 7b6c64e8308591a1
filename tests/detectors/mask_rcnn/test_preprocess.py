"""Pictures are resized as each origin does it."""

import numpy as np
import pytest
from PIL import Image

from flask_detector.detectors.mask_rcnn.preprocess import prepare, resized_size
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Origin, Variant


def detectron2s_size(height: int, width: int) -> tuple[int, int]:
    """Source: Detectron2, ResizeShortestEdge.get_output_shape."""
    scale = 800.0 / min(height, width)
    tall, wide = (800.0, scale * width) if height < width else (scale * height, 800.0)
    if max(tall, wide) > 1333:
        scale = 1333 * 1.0 / max(tall, wide)
        tall, wide = tall * scale, wide * scale
    return int(tall + 0.5), int(wide + 0.5)


def test_detectron2s_sizes_are_its_own() -> None:
    random = np.random.default_rng(0)
    for height, width in [*random.integers(20, 6000, (3000, 2)).tolist(), [800, 800], [480, 640]]:
        assert resized_size(height, width, Origin.DETECTRON2) == detectron2s_size(height, width)


@pytest.mark.parametrize("size", [(150, 200), (1000, 1300), (300, 40), (801, 1200)])
def test_detectron2s_pixels_are_pillows(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    prepared = prepare(picture, TRAITS[Variant.DETECTRON2])
    height, width = prepared.size
    resized = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    expected = resized[:, :, ::-1] - np.array([103.53, 116.28, 123.675], np.float32)
    assert np.array_equal(prepared.pixels[:height, :width], expected)
    assert not prepared.pixels[height:].any()
    assert not prepared.pixels[:, width:].any()
