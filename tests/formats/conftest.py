"""Detections with everything that makes a format think: holes, several parts, an empty mask, odd names."""

from collections.abc import Callable

import numpy as np
import pytest

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.structures.detections import Detections, Origin
from flask_detector.structures.masks import Bitmap, Mask

ODD_LABELS = ('a "quoted" & <marked> one', "=cmd()", "naïve 图", "comma, colon: dash - #")


def _mask(*rows: str, x: int, y: int) -> Mask:
    return Mask.from_bitmap(np.array([[c == "#" for c in row] for row in rows]), x=x, y=y)


def _detections(masks: tuple[Mask, ...] | None, labels: tuple[str, ...], class_ids: list[int]) -> Detections:
    return Detections(
        width=64,
        height=48,
        boxes=np.array(
            [[1.25, 2.5, 8.0, 7.0], [20, 10, 26.5, 14], [60, 40, 64, 48], [30, 30, 33, 32]], np.float32
        ),
        scores=np.array([0.9, 0.8, 0.75, 0.25], np.float32),
        class_ids=np.array(class_ids),
        labels=labels,
        model="a-model",
        masks=masks,
    )


@pytest.fixture
def with_masks() -> Detections:
    """A mask with a hole and a part in that, one of three parts, one at the picture's corner, an empty."""
    masks = (
        _mask("######.", "#....##", "#.##.##", "#....#.", "#######", x=1, y=2),
        _mask("##...#", "##..#.", "......", "....##", x=20, y=10),
        _mask("####", "####", "####", x=60, y=45),
        Mask(30, 30, 0, 0, np.zeros(1, np.uint32)),
    )
    return _detections(masks, COCO_LABELS, [56, 0, 79, 2])


@pytest.fixture
def boxes_only() -> Detections:
    """The same as a model without masks has it, with classes of its own."""
    return _detections(None, ODD_LABELS, [0, 1, 2, 3])


@pytest.fixture
def corrected() -> Detections:
    """A corrected result: a mask that a person verified, a box of a class of their own, and a changed box."""
    return Detections(
        width=64,
        height=48,
        boxes=np.array([[1, 2, 8, 7], [20, 10, 26, 14], [60, 40, 64, 48]], np.float32),
        scores=np.array([1, 1, 1], np.float32),
        class_ids=np.array([56, 80, 2]),
        labels=(*COCO_LABELS, "写"),
        model="a-model",
        masks=(_mask("##", "##", x=1, y=2), None, None),
        origins=(Origin("model", True, 0.9), Origin("person", False, None), Origin("person", False, 0.25)),
    )


@pytest.fixture
def nothing(with_masks: Detections) -> Detections:
    """Nothing was found."""
    return with_masks.over(1.0)


@pytest.fixture
def whole() -> Callable[[Detections], list[Bitmap]]:
    """A function that returns the masks as bitmaps of the whole picture."""

    def bitmaps(found: Detections) -> list[Bitmap]:
        result = []
        for mask in found.masks or ():
            bitmap = np.zeros((found.height, found.width), bool)
            if mask is not None:
                bitmap[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
            result.append(bitmap)
        return result

    return bitmaps
