"""A result whose masks make a format think: a hole, several parts, the picture's corner."""

import numpy as np
import pytest

from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask


def _mask(*rows: str, x: int, y: int) -> Mask:
    return Mask.from_bitmap(np.array([[c == "#" for c in row] for row in rows]), x=x, y=y)


@pytest.fixture
def flat() -> Detections:
    """Three objects of four classes, 64 by 48; the boxes are those of the masks."""
    masks = (
        _mask("######.", "#....##", "#.##.##", "#....#.", "#######", x=1, y=2),
        _mask("##...#", "##..#.", "......", "....##", x=20, y=10),
        _mask("####", "####", "####", x=60, y=45),
    )
    boxes = [[mask.x, mask.y, mask.x + mask.width, mask.y + mask.height] for mask in masks]
    return Detections(
        width=64,
        height=48,
        boxes=np.array(boxes, np.float32),
        scores=np.array([0.9, 0.8, 0.75], np.float32),
        class_ids=np.array([2, 0, 2]),
        labels=("chair", "a: 'b'", "naïve 図", "unused"),
        model="a-model",
        masks=masks,
    )
