"""Pixels that are read some rows at a time."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from flask_detector.detectors.nanodet.detector import NanoDet
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Pixels

LIMITS = Limits(100_000_000, 100_000_000)


def turned(orientation: int, width: int = 90, height: int = 50) -> bytes:
    """Return a PNG of noise, so that every pixel is another, that is to be turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", exif=exif)
    return file.getvalue()


def photograph(width: int, height: int) -> bytes:
    down, across = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(down / 90), np.cos(across / 70), np.sin((down + across) / 110)], axis=2)
    file = io.BytesIO()
    Image.fromarray((127 + 120 * waves).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rows_are_those_of_the_upright_picture(orientation: int) -> None:
    data = turned(orientation)
    whole, info = decode.decode(data, LIMITS)
    pixels, _ = decode.load(data, LIMITS)

    assert (pixels.height, pixels.width) == whole.shape[:2] == (info.height, info.width)
    np.testing.assert_array_equal(pixels[10:23], whole[10:23])
    np.testing.assert_array_equal(pixels[np.array([3, 4, 9, 40])], whole[[3, 4, 9, 40]])
    np.testing.assert_array_equal(pixels[30:1000], whole[30:])
    np.testing.assert_array_equal(np.asarray(pixels.image()), whole)


def test_what_is_forgotten_can_not_be_read() -> None:
    pixels, _ = decode.load(turned(1), LIMITS)
    pixels.forget()
    with pytest.raises(RuntimeError, match="forgotten"):
        pixels[0:1]


@pytest.mark.parametrize(
    ("size", "max_side", "reduced"),
    [
        ((4000, 300), 1024, 2),
        ((4100, 301), 1024, 4),
        ((2047, 900), 1024, 1),
        ((9000, 3), 1024, 2),
        ((3, 3), 1, 2),
    ],
)
def test_a_jpeg_is_decoded_no_smaller_than_is_enough(
    size: tuple[int, int], max_side: int, reduced: int
) -> None:
    pixels, info = decode.load(photograph(*size), LIMITS, max_side=max_side)

    assert pixels.reduced == reduced
    assert (pixels.width, pixels.height) == (info.width, info.height) == size
    assert (pixels.columns, pixels.rows) == (-(-size[0] // reduced), -(-size[1] // reduced))
    assert reduced == 1 or max(pixels.columns, pixels.rows) >= max_side


def test_other_formats_are_decoded_at_their_size() -> None:
    pixels, _ = decode.load(turned(1, 3000, 40), LIMITS, max_side=100)
    assert pixels.reduced == 1


def test_the_network_sees_the_same_in_a_reduced_picture() -> None:
    from flask_detector.detectors.nanodet.detector import network_size, resize

    data = photograph(4101, 3003)
    width, height = network_size(4101, 3003)
    whole, _ = decode.decode(data, LIMITS)
    reduced, _ = decode.load(data, LIMITS, max_side=NanoDet.max_side)

    difference = resize(whole, width, height).astype(int) - resize(reduced, width, height)

    assert reduced.reduced == 4
    assert np.abs(difference).max() <= 3


def test_an_array_stays_its_owners() -> None:
    picture = np.zeros((8, 9, 3), np.uint8)
    pixels = Pixels.of(picture)
    pixels.forget()
    assert pixels.array() is picture
    assert Pixels.of(pixels) is pixels
