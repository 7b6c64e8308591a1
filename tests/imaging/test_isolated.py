"""Pictures that a process of its own decodes: small ones here, that are taken for large."""

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from flask_detector.errors import DamagedPicture, PictureError, TooManyPixels
from flask_detector.imaging import decode, isolated, large_pictures
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import StoredPixels

LIMITS = Limits(100_000_000, 100_000_000)


def picture(picture_format: str, mode: str = "RGB", **options: Any) -> bytes:
    down, across = np.mgrid[:50, :80].astype(np.uint8)
    image = Image.fromarray(np.dstack([down * 5, across * 3, down + across, 255 - down])).convert(mode)
    file = io.BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return exif


@pytest.fixture
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pictures, "LARGE_PIXELS", 0)
    monkeypatch.setattr(isolated, "MOST_BYTES", 0)


KINDS: dict[str, Callable[[], bytes]] = {
    "gif": lambda: picture("GIF", "P"),
    "jpeg, progressive and turned": lambda: picture("JPEG", progressive=True, exif=turned()),
    "png, transparent": lambda: picture("PNG", "RGBA"),
    "webp, transparent": lambda: picture("WEBP", "RGBA"),
    "avif, turned": lambda: picture("AVIF", exif=turned()),
    "tiff, grey of 16 bits": lambda: picture("TIFF", "I;16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_that_are_decoded_here(kind: str, request: pytest.FixtureRequest) -> None:
    data = KINDS[kind]()
    whole, expected = decode.decode(data, LIMITS)
    request.getfixturevalue("all_are_large")

    pixels, info = decode.load(data, LIMITS)

    assert isinstance(pixels, StoredPixels)
    assert info == expected
    np.testing.assert_array_equal(pixels[7:30], whole[7:30])
    np.testing.assert_array_equal(pixels[np.array([3, 4, 20])], whole[[3, 4, 20]])
    np.testing.assert_array_equal(np.asarray(pixels.image()), whole)
    with pytest.raises(RuntimeError, match="forgotten"):
        pixels[0:1]


@pytest.mark.usefixtures("all_are_large")
def test_what_is_wrong_is_told_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    data = picture("PNG")
    damaged = data[: len(data) // 2] + bytes(9) + data[len(data) // 2 + 9 :]
    with pytest.raises(DamagedPicture) as apart:
        decode.load(damaged, LIMITS)
    monkeypatch.setattr(isolated, "MOST_BYTES", 1 << 40)
    with pytest.raises(DamagedPicture) as here:
        decode.load(damaged, LIMITS)
    assert (str(apart.value), apart.value.hint) == (str(here.value), here.value.hint)


@pytest.mark.parametrize(("signal", "kind"), [("KILL", TooManyPixels), ("SEGV", DamagedPicture)])
@pytest.mark.usefixtures("all_are_large")
def test_a_decoder_that_breaks_down_harms_nobody_else(
    signal: str, kind: type[PictureError], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{signal} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(kind):
        decode.load(picture("GIF", "P"), LIMITS)


def full(**_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("all_are_large")
def test_where_there_is_no_room_for_a_file_it_is_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "TemporaryFile", full)
    assert decode.decode(picture("GIF", "P"), LIMITS)[0].shape == (50, 80, 3)


@pytest.mark.usefixtures("all_are_large")
def test_where_the_file_gets_full_it_is_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "TemporaryFile", partial(Path("/dev/full").open, "r+b"))
    pixels, _ = decode.load(picture("GIF", "P"), LIMITS)
    assert not isinstance(pixels, StoredPixels)


@pytest.mark.usefixtures("all_are_large")
def test_where_there_is_no_room_for_a_process_it_is_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "available", lambda: 30_000_000)
    pixels, _ = decode.load(picture("GIF", "P"), LIMITS)
    assert not isinstance(pixels, StoredPixels)
