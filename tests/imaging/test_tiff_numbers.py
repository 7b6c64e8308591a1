"""A TIFF's numbers are what they are, whichever library reads them, and of the page that is its picture."""

import io
import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from PIL.TiffImagePlugin import TiffImageFile

from flask_detector.errors import DamagedPicture, UnsupportedPicture
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
WIDTH, HEIGHT = 40, 30

REDUCED, MASK = 1, 4
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, TRANSPARENCY_MASK = 0, 1, 2, 4


class Page(NamedTuple):
    """A page to be written: rows of pixels of bands, and what its tags say."""

    pixels: npt.NDArray[Any]
    kind: int = 0
    photometric: int = RGB
    is_planar: bool = False
    bits: int = 0
    compression: int = 1
    data: bytes = b""
    inside: "tuple[Page, ...]" = ()


def tiff(*pages: Page) -> bytes:
    """Return a TIFF of those pages, each in as few strips as it may have (TIFF 6.0)."""
    out = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for page in pages:
        struct.pack_into("<I", out, link, write(out, page))
        link = len(out) - 4
    return bytes(out)


def write(out: bytearray, page: Page) -> int:
    """Add a page, with those inside it before; return its place. Its link to a next one comes last."""
    inside = [write(out, other) for other in page.inside]
    height, width, bands = page.pixels.shape
    planes = np.moveaxis(page.pixels, 2, 0) if page.is_planar else [page.pixels]
    strips = [page.data or np.ascontiguousarray(plane).tobytes() for plane in planes]
    places = [put(out, strip) for strip in strips]
    bits = page.bits or 8 * page.pixels.dtype.itemsize
    tags = {
        254: ("I", [page.kind]),
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * bands),
        259: ("H", [page.compression]),
        262: ("H", [page.photometric]),
        273: ("I", places),
        277: ("H", [bands]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if page.is_planar else 1]),
    }
    if inside:
        tags[330] = ("I", inside)
    entries = b""
    for number, (kind, values) in tags.items():
        value = struct.pack(f"<{len(values)}{kind}", *values)
        held = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", put(out, value))
        entries += struct.pack("<HHI", number, {"H": 3, "I": 4}[kind], len(values)) + held
    return put(out, struct.pack("<H", len(tags)) + entries + bytes(4))


def put(out: bytearray, data: bytes) -> int:
    out.extend(bytes(len(out) % 2))
    out.extend(data)
    return len(out) - len(data)


def rgb() -> npt.NDArray[np.uint8]:
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([across * 6, down * 8, (across + down) * 3], axis=2).astype(np.uint8)


def grey() -> npt.NDArray[np.uint8]:
    return rgb()[:, :, :1]


PREVIEW = Page(rgb()[::4, ::4], REDUCED)


def as_webp() -> bytes:
    image = pyvips.Image.new_from_memory(rgb().tobytes(), WIDTH, HEIGHT, 3, "uchar")
    file = image.copy(interpretation="srgb").tiffsave_buffer(compression="webp", lossless=True)
    with TiffImageFile(io.BytesIO(file)) as opened:
        tags = opened.tag_v2
        return bytes(file[tags[273][0] :][: tags[279][0]])


FILES = {
    "a preview, then the picture": lambda: tiff(PREVIEW, Page(rgb())),
    "a preview with the picture inside": lambda: tiff(PREVIEW._replace(inside=(Page(rgb()),))),
    "a preview with another one and the picture inside": lambda: tiff(
        PREVIEW._replace(inside=(PREVIEW, Page(rgb())))
    ),
    "a preview, then the picture as WebP": lambda: tiff(
        PREVIEW, Page(rgb(), compression=50001, data=as_webp())
    ),
    "a preview, then the picture with five bands": lambda: tiff(
        PREVIEW, Page(np.concatenate([rgb(), rgb()[:, :, :2]], axis=2))
    ),
    "a mask that Pillow can't read, then the picture": lambda: tiff(
        Page(np.zeros((HEIGHT, WIDTH // 8, 1), np.uint8), MASK, TRANSPARENCY_MASK, bits=1), Page(rgb())
    ),
    "the picture with previews inside": lambda: tiff(Page(rgb(), inside=(PREVIEW, PREVIEW))),
    "planes of 8 bits": lambda: tiff(Page(rgb(), is_planar=True)),
    "planes of 16 bits": lambda: tiff(Page(rgb().astype("<u2") * 257, is_planar=True)),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_picture_itself_is_read(kind: str) -> None:
    data = FILES[kind]()

    picture, info = decode(data, LIMITS)

    assert check(data, LIMITS) == info
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert np.abs(picture.astype(int) - rgb()).max() == 0


GREYS = {
    "8 bits, zero is white": Page(255 - grey(), photometric=WHITE_IS_ZERO),
    "16 bits": Page(grey().astype("<u2") * 257, photometric=BLACK_IS_ZERO),
    "16 bits, zero is white": Page((255 - grey()).astype("<u2") * 257, photometric=WHITE_IS_ZERO),
}


@pytest.mark.parametrize("kind", GREYS)
def test_what_is_bright_stays_so(kind: str) -> None:
    picture, _ = decode(tiff(GREYS[kind]), LIMITS)

    assert np.abs(picture.astype(int) - grey()).max() <= 1


def test_unsigned_numbers_of_32_bits_have_no_sign() -> None:
    numbers = grey().astype("<u4") << 24  # the brighter half has the highest bit

    picture, _ = decode(tiff(Page(numbers, photometric=BLACK_IS_ZERO)), LIMITS)

    assert (np.diff(picture[0, :, 0].astype(int)) >= 0).all()
    assert picture.max() == 255


@pytest.mark.parametrize("data", [b"II*\0\0\0\0\0", b"MM\0*\0\0\0\0", b"II*\0\xff\xff\xff\x7f", b"II*\0"])
def test_a_tiff_without_a_page_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedPicture):
        check(data, LIMITS)


def test_bits_that_fill_no_bytes_are_of_a_rare_kind() -> None:
    with pytest.raises(UnsupportedPicture, match="a TIFF picture of a rare kind"):
        check(tiff(Page(rgb(), bits=10)), LIMITS)
