"""Options are checked before a model is made with them."""

from typing import Any

import pytest

from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.errors import BadParameter

USUAL = TRAITS[Variant.TORCHVISION_V2].options


def test_values_may_be_texts_or_what_json_has() -> None:
    changed = USUAL.changed({"min_size": "640", "max_size": 1024, "image_mean": "0.5,.5, 0.5", "bgr": "true"})
    assert (changed.min_size, changed.max_size, changed.bgr) == (640, 1024, True)
    assert changed.image_mean == (0.5, 0.5, 0.5)
    assert changed.differences(USUAL) == {
        "bgr": True,
        "image_mean": (0.5, 0.5, 0.5),
        "min_size": 640,
        "max_size": 1024,
    }
    again = USUAL.changed({"anchor_sizes": [16, 32, 64, 128, 256], "box_nms_thresh": 0.4})
    assert (again.anchor_sizes, again.box_nms_thresh) == ((16, 32, 64, 128, 256), 0.4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "640"}, "There is no option 'size'.*min_size"),
        ({"min_size": "small"}, "min_size can't be 'small'.*whole number from 32 to 4096"),
        ({"min_size": "640.5"}, "min_size can't be"),
        ({"max_size": "100000"}, "max_size can't be"),
        ({"min_size": "1400"}, "max_size is 1333, less than min_size"),
        ({"box_score_thresh": "1.5"}, "from 0 to 1"),
        ({"box_score_thresh": "nan"}, "box_score_thresh can't be"),
        ({"box_detections_per_img": "0"}, "box_detections_per_img can't be"),
        ({"image_std": "0,1,1"}, "image_std can't be"),
        ({"image_mean": "1,2"}, "3 numbers"),
        ({"anchor_sizes": "32"}, "5 numbers"),
        ({"bgr": "maybe"}, "true or false"),
        ({"aspect_ratios": {"a": 1}}, "aspect_ratios can't be"),
    ],
)
def test_what_cannot_be_an_option_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        USUAL.changed(options)
