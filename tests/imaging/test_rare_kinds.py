"""Kinds of pictures that Pillow can't read are read by libvips."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from PIL import Image

from flask_detector.errors import DamagedPicture, TooManyPixels
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
WIDTH, HEIGHT = 96, 64


def rgb() -> npt.NDArray[np.uint8]:
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = [127 + 100 * np.sin(down / 30), 127 + 100 * np.cos(across / 30), down + across]
    return np.stack(waves, axis=2).astype(np.uint8)


def found_in(array: npt.NDArray[np.uint8]) -> Any:
    image = pyvips.Image.new_from_memory(array.tobytes(), array.shape[1], array.shape[0], 3, "uchar")
    return image.copy(interpretation="srgb")


def tiff(image: Any, **options: Any) -> bytes:
    return bytes(image.tiffsave_buffer(**options))


def five(image: Any) -> Any:
    return image.bandjoin([image[0], image[1]])


# What is written, and how near to it what is read must be.
TIFFS: dict[str, tuple[Any, int]] = {
    "Lab in floats": (lambda image: tiff(image.colourspace("lab")), 2),
    "Lab in words": (lambda image: tiff(image.colourspace("labs")), 2),
    "five bands": (lambda image: tiff(five(image)), 0),
    "five bands of 16 bits": (lambda image: tiff((five(image) * 257).cast("ushort")), 0),
    "floats of 0 to 1": (lambda image: tiff((image / 255).cast("float")), 1),
    "compressed as WebP": (lambda image: tiff(image, compression="webp", lossless=True), 0),
    "tiles compressed as WebP": (lambda image: tiff(image, compression="webp", tile=True, lossless=True), 0),
    "turned": (lambda image: tiff(five(image.rot270()), keep="all"), 0),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_a_rare_tiff_is_read(kind: str) -> None:
    write, tolerance = TIFFS[kind]
    image = found_in(rgb())
    if kind == "turned":
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    data = write(image)

    picture, info = decode(data, LIMITS)

    assert check(data, LIMITS) == info
    assert (info.format, info.width, info.height) == ("TIFF", WIDTH, HEIGHT)
    assert np.abs(picture.astype(int) - rgb()).max() <= tolerance


def test_numbers_that_have_no_white_are_stretched() -> None:
    image = found_in(rgb())

    picture, _ = decode(tiff((image * 1000).cast("int")), LIMITS)

    assert (picture.min(), picture.max()) == (0, 255)


def test_a_rare_tiff_is_held_to_the_same_limits() -> None:
    data = tiff(five(found_in(rgb())))

    with pytest.raises(TooManyPixels):
        check(data, Limits(10_000_000, WIDTH * HEIGHT - 1))
    with pytest.raises(DamagedPicture):
        decode(data[: len(data) // 2], LIMITS)


def avif() -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb()).save(file, "AVIF", quality=95)
    return file.getvalue()


def test_an_avif_that_names_only_the_structure_is_read() -> None:
    whole = avif()
    length = int.from_bytes(whole[:4], "big")
    data = (
        struct.pack(">I4s4sI", length, b"ftyp", b"mif1", 0)
        + (b"mif1miaf" * 9)[: length - 16]
        + whole[length:]
    )

    picture, info = decode(data, LIMITS)

    assert (info.format, info.media_type, info.width) == ("AVIF", "image/avif", WIDTH)
    assert np.abs(picture.astype(int) - rgb()).mean() < 3
    assert check(data, LIMITS) == info


def test_an_avif_is_cropped_as_it_says() -> None:
    data = cropped(avif(), width=40, height=20, left=16, top=8)

    picture, info = decode(data, LIMITS)

    assert check(data, LIMITS) == info
    assert picture.shape == (20, 40, 3)
    assert np.abs(picture.astype(int) - rgb()[8:28, 16:56]).mean() < 3


def cropped(data: bytes, *, width: int, height: int, left: int, top: int) -> bytes:
    """Return an AVIF with a clean aperture (ISO/IEC 14496-12, 12.1.4): its size and its middle's place."""
    across, down = 2 * left + width - WIDTH, 2 * top + height - HEIGHT
    clap = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, across, 2, down, 2)
    out = bytearray(data)
    properties = data.index(b"ipco") - 4
    (length,) = struct.unpack_from(">I", out, properties)
    number, place = 0, properties + 8
    while place < properties + length:
        number, place = number + 1, place + struct.unpack_from(">I", out, place)[0]
    association = data.index(b"ipma") - 4
    (of_items,) = struct.unpack_from(">I", out, association)
    assert struct.unpack_from(">I", out, association + 12)[0] == 1  # of one item, whose id takes two bytes
    out[association + 18] += 1
    out[association + of_items : association + of_items] = bytes([0x80 | (number + 1)])
    out[properties + length : properties + length] = clap
    for kind, grown in ((b"ipco", 40), (b"ipma", 1), (b"iprp", 41), (b"meta", 41)):
        at = out.index(kind) - 4
        struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + grown)
    start = data.index(b"mdat") + 4
    places = out.index(b"iloc")
    at = out.index(struct.pack(">I", start), places)
    struct.pack_into(">I", out, at, start + 41)
    return bytes(out)
