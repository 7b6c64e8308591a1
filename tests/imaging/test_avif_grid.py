"""AVIF files that are joined of tiles."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from flask_detector.imaging import avif_grid, decode, decode_large, encode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture

LIMITS = Limits(100_000_000, 100_000_000)
SIDE = 64
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_large, "LARGE_PIXELS", 0)
    monkeypatch.setattr(encode, "_TILE", SIDE)


def photograph(width: int, height: int) -> Picture:
    down, across = np.mgrid[:height, :width].astype(np.float32)
    waves = [127 + 120 * np.sin(down / 40), 127 + 120 * np.cos(across / 50), (down + across) / 3]
    return np.stack(waves, axis=2).astype(np.uint8)


def png_of(picture: Picture, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.usefixtures("in_tiles")
@pytest.mark.parametrize("size", [(210, 334), (128, 128), (66, 20), (20, 600)])
@pytest.mark.parametrize("profile", [None, SRGB])
def test_two_readers_see_the_picture_whose_tiles_were_joined(
    size: tuple[int, int], profile: bytes | None
) -> None:
    import pyvips

    picture = photograph(*size)

    joined, media_type = encode.change(png_of(picture, icc_profile=profile), LIMITS, "AVIF")

    assert media_type == "image/avif"
    assert b"grid" in joined
    seen, info = decode.decode(joined, LIMITS)
    assert (info.width, info.height, info.icc_profile) == (*size, profile)
    assert np.abs(seen.astype(np.int16) - picture).mean() < 3
    other = pyvips.Image.heifload_buffer(joined)
    assert (other.width, other.height) == size
    pixels = np.frombuffer(other.write_to_memory(), np.uint8).reshape(picture.shape)
    assert np.abs(pixels.astype(np.int16) - picture).mean() < 3


@pytest.mark.usefixtures("in_tiles")
@pytest.mark.parametrize("size", [(211, 334), (210, 333), (64, 60)])
def test_what_can_not_be_of_tiles_is_one_picture(size: tuple[int, int]) -> None:
    joined, media_type = encode.change(png_of(photograph(*size)), LIMITS, "AVIF")
    assert media_type == "image/avif"
    assert b"grid" not in joined
    assert decode.check(joined, LIMITS).width == size[0]


def test_a_picture_has_no_more_tiles_than_readers_take() -> None:
    assert avif_grid.fits(6000, 4000, 1024)
    assert not avif_grid.fits(40_000, 40_000, 1024)
    assert not avif_grid.fits(300_000, 2000, 1024)


def test_tiles_that_are_of_different_kinds_are_refused() -> None:
    tile = photograph(SIDE, SIDE)
    grey = io.BytesIO()
    Image.fromarray(tile[:, :, 0]).save(grey, "AVIF")
    see_through = encode.encode(Image.fromarray(np.dstack([tile, tile[:, :, 0]])), "AVIF")
    usual = encode.encode(tile, "AVIF")
    for files in ([usual, grey.getvalue()], [see_through] * 2, [usual, usual[:100]], [b"", usual]):
        with pytest.raises(ValueError, match="tile"):
            avif_grid.joined(files, 2 * SIDE, SIDE, SIDE, None)
