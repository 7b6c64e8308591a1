import itertools

import numpy as np
import numpy.typing as npt
import pytest

from flask_detector.visualization.colors import (
    PALETTE,
    Colour,
    colour_of,
    colours_of,
    relative_luminance,
    text_colour_on,
)

# How the linear light of a picture looks to other eyes (Machado, Oliveira and Fernandes 2009, severity 1).
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def oklab(colour: Colour, eyes: str) -> npt.NDArray[np.float64]:
    """Return a colour in OKLab, where distances are those that one sees (Ottosson 2020)."""
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(EYES[eyes] @ linear, 0, 1)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    found: npt.NDArray[np.float64] = lab @ np.cbrt(cones @ linear)
    return found


def test_a_class_has_one_usual_colour_of_the_palette() -> None:
    assert colour_of(0) == (0x3C, 0x91, 0xFD)
    assert ["#{:02x}{:02x}{:02x}".format(*colour_of(i)) for i in range(len(PALETTE))] == list(PALETTE)
    assert colour_of(1000) == colour_of(1000 % len(PALETTE))


def test_no_two_classes_of_a_picture_have_one_colour() -> None:
    found = colours_of(range(300))
    assert len(set(found.values())) == 300
    assert [found[class_id] for class_id in range(23)] == [colour_of(class_id) for class_id in range(23)]


def test_a_class_keeps_its_usual_colour_unless_a_better_one_has_it() -> None:
    assert colours_of([24, 1, 2, 24, 47]) == {
        24: colour_of(1),
        2: colour_of(2),
        1: colour_of(3),
        47: colour_of(4),
    }


def test_all_colours_can_be_told_apart() -> None:
    for a, b in itertools.combinations(range(len(PALETTE)), 2):
        assert np.linalg.norm(oklab(colour_of(a), "normal") - oklab(colour_of(b), "normal")) > 0.09


@pytest.mark.parametrize(
    ("eyes", "distance"), [("normal", 0.14), ("protanopia", 0.09), ("deuteranopia", 0.1)]
)
def test_five_colours_in_a_row_can_be_told_apart_by_all_eyes(eyes: str, distance: float) -> None:
    for class_id in range(len(PALETTE)):
        for further in range(1, 5):
            a, b = oklab(colour_of(class_id), eyes), oklab(colour_of(class_id + further), eyes)
            assert np.linalg.norm(a - b) > distance, (class_id, further)


def test_the_text_on_each_colour_has_the_contrast_that_wcag_asks_for() -> None:
    for class_id in range(len(PALETTE)):
        background = colour_of(class_id)
        dark, light = sorted([relative_luminance(background), relative_luminance(text_colour_on(background))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_luminance_is_that_of_wcag() -> None:
    assert relative_luminance((0, 0, 0)) == 0
    assert relative_luminance((255, 255, 255)) == 1
    assert round(relative_luminance((255, 0, 0)), 4) == 0.2126
    assert text_colour_on((255, 255, 0)) == (0, 0, 0)
    assert text_colour_on((0, 0, 128)) == (255, 255, 255)
