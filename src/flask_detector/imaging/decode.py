"""Decode a picture file to an upright RGB array, within limits; encode.py does the reverse.

A file is what its first bytes say, never what its name says. Its size is read from the header and compared
with the limits before any pixel is decoded. A file that ends early is not decoded: a grey lower half is never
returned.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from PIL import Image

from flask_detector.errors import ServiceError, TooManyPixels
from flask_detector.imaging import isolated, jpeg_scans, png_chunks, sniff
from flask_detector.imaging.large_pictures import decoded, decoding_bytes
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.open_picture import bytes_of, opened
from flask_detector.imaging.pixels import Picture, Pixels, upright_size
from flask_detector.process import available_memory

_ONE_AT_A_TIME: Final = threading.Lock()
_PATIENCE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 5


@dataclass(frozen=True)
class PictureInfo:
    """What a file holds.

    format: "JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP" or "TIFF".
    width, height: in pixels as the user sees the picture, after its orientation is applied.
    icc_profile: the colour space of its RGB numbers, if it names one.
    """

    format: str
    media_type: str
    width: int
    height: int
    icc_profile: bytes | None = field(default=None, repr=False)


def check(source: bytes | BinaryIO, limits: Limits) -> PictureInfo:
    """Return what a file says that it holds. No pixel is decoded: only `decode` can tell that all are there.

    The work is bounded, whatever the file says of itself: see `open_picture`. One file is read at a time,
    since some formats' readers take in all of it. A file object is read from its start, and stays open.

    Raises EmptyPicture, NotAPicture, DamagedPicture, PictureTooLarge or TooManyPixels.
    """
    with _ONE_AT_A_TIME, opened(source, limits) as (image, _):
        return _info(image)


def decode(source: bytes | BinaryIO, limits: Limits) -> tuple[Picture, PictureInfo]:
    """Return a file's first picture, (H, W, 3), RGB, uint8, upright, and what the file holds; see `load`."""
    pixels, info = load(source, limits)
    return pixels.array(), info


def load(
    source: bytes | BinaryIO,
    limits: Limits,
    *,
    max_side: int | None = None,
    patience: float = _PATIENCE_SECONDS,
) -> tuple[Pixels, PictureInfo]:
    """Return the pixels of a file's first picture, and what the file holds.

    Transparency is laid over white. Sixteen bits are scaled to eight; numbers without a known white (32-bit
    integers, floats outside 0..1) are stretched from the darkest to the brightest. CMYK goes through its own
    profile into sRGB, since without it the colours are guessed. RGB numbers stay as they are, whatever their
    profile: detectors are trained on pictures that were read so. The info keeps the profile, for `encode`.

    max_side: how many pixels along the long side are needed, None for all. A JPEG may then come at a half, a
        quarter or an eighth of its size, which takes a fraction of the time and of the memory.
    patience: how many seconds to wait where memory has room for one such picture at a time.

    Raises what `check` raises; DamagedPicture also where pixels are missing, TooManyPixels where memory has
    no room for them, ServiceError where it has none as long as another picture is decoded.
    """
    with opened(source, limits) as (image, file):
        info, data = _info(image), bytes_of(file)
        needed = decoding_bytes(image, data)
        if max_side is not None and image.format == "JPEG":
            with _room(needed, patience):
                reduced = _reduce(image, max_side)
                return jpeg_scans.load(image, data, reduced=reduced, size=(info.width, info.height)), info
        if isolated.is_worth_a_process(image, data):
            with _room(needed + isolated.BYTES_OF_PROCESS, patience):
                pixels = isolated.decoded_apart(data, limits, width=info.width, height=info.height)
            if pixels is not None:
                return pixels, info
        with _room(needed, patience):
            return decoded(image, data), info


@contextmanager
def _room(size: int, patience: float) -> Iterator[None]:
    try:
        with available_memory.reserved(size, patience=patience):
            yield
    except available_memory.NotEnoughMemory as error:
        raise TooManyPixels(
            f"Decoding it takes about {size / 1e6:.0f} MB of memory; "
            f"{error.available / 1e6:.0f} are left here.",
            hint="Send it as a JPEG, which takes less, or make it smaller.",
        ) from error
    except available_memory.MemoryBusy as error:
        raise ServiceError(
            "There is memory for one picture as large as this at a time.", retry_after=_RETRY_SECONDS
        ) from error


def _reduce(image: Image.Image, max_side: int) -> int:
    """Have a JPEG decoded at a fraction of its size; return how many times smaller: 1, 2, 4 or 8."""
    wanted = max(1, max(image.size) // max_side)
    width = image.width
    drafted = image.draft(None, (max(1, image.width // wanted), max(1, image.height // wanted)))
    return 1 if drafted is None else round(width / drafted[1][2])


def _info(image: Image.Image) -> PictureInfo:
    width, height = upright_size(image)
    name = str(image.format)
    return PictureInfo(name, sniff.media_type(name), width, height, _rgb_profile(image))


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return the image's ICC profile if it is one of RGB numbers (ICC.1:2022, 7.2)."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > png_chunks.LARGEST_PROFILE or image.mode == "CMYK":
        return None
    return profile if profile[16:20] == b"RGB " and profile[36:40] == b"acsp" else None
