import numpy as np
import pytest

from flask_detector.detectors.onnx.families import BY_NAME
from flask_detector.detectors.onnx.fit import fit
from flask_detector.detectors.onnx.interpretation import Interpretation, written
from flask_detector.errors import BadParameter
from flask_detector.imaging.pixels import Pixels


def test_options_are_read_as_they_are_written() -> None:
    changes = {"size": (480, 640), "bgr": True, "mean": (1.5, 2.0, 3.0), "iou": 0.5, "resize": "corner"}
    changed = Interpretation().changed(changes)
    assert changed.differences(Interpretation()) == changes
    texts = dict(option.split("=") for option in written(changes).split())
    assert Interpretation().changed(texts) == changed


def test_one_number_is_meant_for_all_sides_and_channels() -> None:
    assert Interpretation().changed({"size": "416", "std": "1"}) == Interpretation(
        size=(416, 416), std=(1, 1, 1)
    )


def test_padding_is_a_grey_or_a_colour() -> None:
    assert Interpretation().changed({"padding": "0"}).padding == 0
    colour = Interpretation().changed({"padding": "124,116,104"})
    assert colour.padding == (124, 116, 104)
    assert Interpretation().changed(colour.differences(Interpretation())) == colour
    pixels = fit(Pixels.of(np.zeros((32, 64, 3), np.uint8)), colour, is_open=False).pixels
    assert pixels[0, 0, 0].tolist() == [124, 116, 104]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", "16"),
        ("size", "640x640x3"),
        ("resize", "zoom"),
        ("boxes", "corners"),
        ("mean", "1,2"),
        ("std", "0,1,1"),
        ("mean", "nan,1,1"),
        ("iou", "1.5"),
        ("first_class", "2"),
        ("padding", "-1"),
        ("padding", "1,2"),
        ("bgr", "perhaps"),
        ("min_size", "640"),
    ],
)
def test_what_can_not_be_is_refused(option: str, value: str) -> None:
    with pytest.raises(BadParameter, match=option):
        Interpretation().changed({option: value})


def test_a_reading_that_changes_nothing_is_no_other_one() -> None:
    family = BY_NAME["yolo"]
    assert family.other_readings(family.usual) == ({"resize": "stretch"}, {"bgr": True})
    stretched = family.usual.changed({"resize": "stretch"})
    assert family.other_readings(stretched) == ({"bgr": True},)
