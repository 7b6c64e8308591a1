"""Bytes of a picture file to a checked RGB array; encoding.py does the way back.

A file is what its first bytes say, never what its name says. Its size is read from the header and compared
with the limits before any pixel is decoded. A file that ends early is not decoded: a grey lower half is never
returned.
"""

import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

from PIL import Image, ImageFile

from flask_detector.errors import (
    DamagedPicture,
    EmptyPicture,
    PictureTooLarge,
    ServiceError,
    TooManyPixels,
    UnsupportedPicture,
)
from flask_detector.imaging import gif_blocks, jpeg_scans, png_chunks, tiff_pages
from flask_detector.imaging.by_vips import ByVips
from flask_detector.imaging.decode_large import decoding_bytes, is_large, spooled
from flask_detector.imaging.pixels import Picture, Pixels, orientation_of, upright_size
from flask_detector.imaging.sniff import HEAD_BYTES, format_of, names_avif, refusal
from flask_detector.process import room
from flask_detector.process.memory import may_lack

_PATIENCE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 5


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes of the file, pixels of the picture. One process uses one pair of limits."""

    max_bytes: int
    max_pixels: int


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

    The work is bounded, whatever the file says of itself: see `_Header`. One file is read at a time, since
    some formats' readers take in all of it. A file object is read from its start, and stays open.

    Raises EmptyPicture, NotAPicture, DamagedPicture, PictureTooLarge or TooManyPixels.
    """
    with _ONE_AT_A_TIME, _opened(source, limits) as (image, _):
        return _info(image)


def decode(source: bytes | BinaryIO, limits: Limits) -> tuple[Picture, PictureInfo]:
    """Return a file's first picture, (H, W, 3), RGB, uint8, upright, and what the file holds; see `load`."""
    pixels, info = load(source, limits)
    return pixels.array(), info


def load(
    source: bytes | BinaryIO,
    limits: Limits,
    *,
    enough: int | None = None,
    patience: float = _PATIENCE_SECONDS,
) -> tuple[Pixels, PictureInfo]:
    """Return the pixels of a file's first picture, and what the file holds.

    Transparency is laid over white. Sixteen bits are scaled to eight; numbers without a known white (32-bit
    integers, floats outside 0..1) are stretched from the darkest to the brightest. CMYK goes through its own
    profile into sRGB, since without it the colours are guessed. RGB numbers stay as they are, whatever their
    profile: detectors are trained on pictures that were read so. The info keeps the profile, for `encode`.

    enough: how many pixels along the long side are all that is wanted. A JPEG may then come at a half, a
        quarter or an eighth of its size, which takes a fraction of the time and of the memory.
    patience: how many seconds to wait where memory has room for one such picture at a time.

    Raises what `check` raises; DamagedPicture also where pixels are missing, TooManyPixels where memory has
    no room for them, ServiceError where it has none as long as another picture is decoded.
    """
    with _opened(source, limits) as (image, file):
        info, data = _info(image), _bytes_of(file)
        with _room(decoding_bytes(image, data), patience):
            if image.format == "JPEG":
                jpeg_scans.check_whole(data)
            if enough is not None and image.format == "JPEG":
                reduced = _reduce(image, enough)
                image.load()
                return Pixels(image, reduced=reduced, size=(info.width, info.height)), info
            return spooled(image, data) if is_large(image) else Pixels(image), info


@contextmanager
def _room(size: int, patience: float) -> Iterator[None]:
    try:
        with room.taken(size, patience=patience):
            yield
    except room.NoRoom as error:
        raise TooManyPixels(
            f"Decoding it takes about {size / 1e6:.0f} MB of memory; {error.left / 1e6:.0f} are left here.",
            hint="Send it as a JPEG, which takes less, or make it smaller.",
        ) from error
    except room.NoRoomNow as error:
        raise ServiceError(
            "There is memory for one picture as large as this at a time.", retry_after=_RETRY_SECONDS
        ) from error


def _bytes_of(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.getvalue() if isinstance(file, io.BytesIO) else file.read()


def _reduce(image: Image.Image, enough: int) -> int:
    """Have a JPEG decoded at a fraction of its size; return how many times smaller: 1, 2, 4 or 8."""
    wanted = max(1, max(image.size) // enough)
    width = image.width
    drafted = image.draft(None, (max(1, image.width // wanted), max(1, image.height // wanted)))
    return 1 if drafted is None else round(width / drafted[1][2])


def media_type(picture_format: str) -> str:
    """Return the media type of a format, such as "image/jpeg"."""
    return _FORMATS[picture_format].media_type


def plain_jpeg(data: bytes, limits: Limits) -> tuple[int, bytes | None] | None:
    """Return orientation and colour profile of a JPEG that is grey or has three colours, else None."""
    with _opened(data, limits) as (image, _):
        if image.format != "JPEG" or image.mode not in {"RGB", "L"}:
            return None
        return orientation_of(image), _rgb_profile(image)


class _Format(NamedTuple):
    """A format's media type and the class that reads it, imported when the first such file comes."""

    media_type: str
    module: str
    reader: str


_FORMATS: Final = {
    "JPEG": _Format("image/jpeg", "PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": _Format("image/png", "PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": _Format("image/webp", "PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": _Format("image/avif", "PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": _Format("image/heic", "pillow_heif", "HeifImageFile"),
    "GIF": _Format("image/gif", "PIL.GifImagePlugin", "GifImageFile"),
    "BMP": _Format("image/bmp", "PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": _Format("image/tiff", "PIL.TiffImagePlugin", "TiffImageFile"),
}

# What the readers raise on damaged data, by experience. Not Exception: a caller's own, such as the timeout of
# a job, must pass.
_DAMAGE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_OUT_OF_MEMORY: Final = "out of memory"  # Pillow's and libheif's words in an OSError
# What the costliest reader takes (AVIF: 26 bytes a pixel), with some to spare.
DECODING_BYTES_PER_PIXEL: Final = 32

# Pillow's and libheif's words for what they know and can't do.
_RARE: Final = re.compile(
    r"unknown pixel mode|unknown data organization|cannot handle|unsupported|not supported|been built in"
    r"|not configured|not implemented|samples out of range|not a whole number of bytes|bad labq",
    re.IGNORECASE,
)
# How a TIFF's pixels may be packed so that Pillow's own library does not unpack them.
_ONLY_BY_LIBVIPS: Final = {"webp"}
_BIG_ENDIAN_BIGTIFF: Final = b"MM\0+"
_CLEAN_APERTURE: Final = b"clap"  # ISO/IEC 14496-12, 12.1.4

_ONE_AT_A_TIME: Final = threading.Lock()
# A JPEG's segment takes four reads; the glueing of a thousand of them, 25 MB together, takes a few seconds.
_MOST_HEADER_READS: Final = 4000
_PILLOW: Final = re.compile(r"PIL\.")
_TIFF_BITS: Final = 258
_TIFF_PHOTOMETRIC: Final = 262
_TIFF_PLANES: Final = 284
_TIFF_SAMPLE_FORMAT: Final = 339
_WHITE_IS_ZERO: Final = 0
_TIFF_TILE_WIDTH: Final = 322
_TIFF_TILE_LENGTH: Final = 323


@contextmanager
def _opened(source: bytes | BinaryIO, limits: Limits) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Give the file's picture, not decoded yet, and the file that it is read from.

    What is raised within becomes one of our errors.
    """
    file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    picture_format = _recognise(file, limits)
    _set_up_pillow(limits)
    pixels = limits.max_pixels
    try:
        if picture_format == "PNG":
            file = io.BytesIO(png_chunks.only_needed(_bytes_of(file)))
        elif picture_format == "GIF":
            file = io.BytesIO(gif_blocks.only_needed(_bytes_of(file)))
        elif picture_format == "TIFF":
            file = _at_picture(file)
        header = _Header(file, end_mark=jpeg_scans.END_OF_IMAGE if picture_format == "JPEG" else b"")
        image = _read_header(header, file, picture_format)
        _check_pixels(image, limits)
        pixels = image.width * image.height
        header.is_read = True
        yield image, file
    except Image.DecompressionBombError as error:
        raise TooManyPixels(
            f"The picture has more than {limits.max_pixels / 1e6:g} million pixels; "
            "no more are accepted here."
        ) from error
    except _DAMAGE as error:
        is_of_memory = isinstance(error, MemoryError) or _OUT_OF_MEMORY in str(error)
        # The readers of WebP, AVIF and progressive JPEG have the same words for that as for damage.
        if is_of_memory or may_lack(DECODING_BYTES_PER_PIXEL * pixels):
            raise TooManyPixels("The picture needs more memory than one picture may have here.") from error
        picture = f"{'an' if picture_format == 'AVIF' else 'a'} {picture_format} picture"
        if _RARE.search(str(error)):
            raise UnsupportedPicture(
                f"The file is {picture} of a rare kind, which can't be read here."
            ) from error
        raise DamagedPicture(
            f"The file starts as {picture}, but it is cut short, corrupt or of a rare kind."
        ) from error


def _read_header(header: "_Header", file: BinaryIO, picture_format: str) -> Image.Image:
    """Return the picture, not decoded yet, by Pillow or, where it can't read that kind, by libvips."""
    known = _FORMATS[picture_format]
    if _needs_libvips(file, picture_format):
        return ByVips(picture_format, _bytes_of(file))
    try:
        image: ImageFile.ImageFile = getattr(import_module(known.module), known.reader)(header)
    except SyntaxError:
        if picture_format != "TIFF":
            raise
        return ByVips("TIFF", _bytes_of(file))
    if picture_format == "TIFF" and _is_beyond_pillow(image):
        return ByVips("TIFF", _bytes_of(file))
    return image


def _is_beyond_pillow(tiff: Image.Image) -> bool:
    """Tell whether Pillow can't unpack a TIFF's pixels, or takes their numbers for others than they are."""
    tags: Mapping[int, Any] = getattr(tiff, "tag_v2", {})
    bits = max(tags.get(_TIFF_BITS, (1,)))
    is_negative = tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    is_planar = tags.get(_TIFF_PLANES, 1) != 1
    is_unsigned = set(tags.get(_TIFF_SAMPLE_FORMAT, (1,))) == {1}
    is_misread = (bits > 8 and (is_negative or is_planar)) or (bits > 16 and is_unsigned)
    return is_misread or tiff.info.get("compression") in _ONLY_BY_LIBVIPS


def _at_picture(tiff: BinaryIO) -> BinaryIO:
    """Return a file whose first page is the picture."""
    place = tiff_pages.picture_place(cast(IO[bytes], _Header(tiff, end_mark=b"")))
    return tiff if place is None else io.BytesIO(tiff_pages.beginning_at(tiff, place))


def _needs_libvips(file: BinaryIO, picture_format: str) -> bool:
    """Tell whether an AVIF lacks the name that its usual reader asks for, or is to be cropped.

    A BigTIFF is read by Pillow in one order of bytes only.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if picture_format == "AVIF":
        return not names_avif(head) or _CLEAN_APERTURE in head
    return head.startswith(_BIG_ENDIAN_BIGTIFF)


class _Header:
    """A file of which only so much is read before its picture is known.

    Readers follow whatever a header tells them: through millions of empty segments, or gluing small ones
    together in a time that grows with the square of their number. Files of cameras and programs take some
    dozens of reads. Behind its last byte there is one more end mark, for a file whose own is missing.
    """

    def __init__(self, file: BinaryIO, *, end_mark: bytes) -> None:
        self._file = file
        self._end_mark = end_mark
        self._reads_left = _MOST_HEADER_READS
        self.is_read = False
        self.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; raise OSError when the header takes too many reads."""
        if not self.is_read:
            self._reads_left -= 1
            if self._reads_left < 0:
                raise OSError("the header has too many parts")
            return self._file.read(size)
        found = self._file.read(size)
        if not found:
            found, self._end_mark = self._end_mark, b""
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()


def _recognise(file: BinaryIO, limits: Limits) -> str:
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        raise EmptyPicture("The file is empty.")
    if size > limits.max_bytes:
        raise PictureTooLarge(
            f"The file has {size / 1e6:.1f} MB; at most {limits.max_bytes / 1e6:g} are accepted here."
        )
    file.seek(0)
    head = file.read(HEAD_BYTES)
    picture_format = format_of(head)
    if picture_format is None:
        raise refusal(head)
    return picture_format


def _set_up_pillow(limits: Limits) -> None:
    """Put our limit in place of Pillow's, and keep its warnings about odd metadata from our users.

    Pillow refuses more than twice MAX_IMAGE_PIXELS, at places that `_check_pixels` comes too late for. A
    filter for the process is safe with threads; warnings.catch_warnings is not.
    """
    Image.MAX_IMAGE_PIXELS = -(-limits.max_pixels // 2)
    if not any(action == "ignore" and module == _PILLOW for action, _, _, module, _ in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _check_pixels(image: Image.Image, limits: Limits) -> None:
    pixels = image.width * image.height
    if image.format == "TIFF":
        # A whole tile is held in memory, however little of it the picture covers.
        tags = getattr(image, "tag_v2", {})
        pixels = max(pixels, tags.get(_TIFF_TILE_WIDTH, 0) * tags.get(_TIFF_TILE_LENGTH, 0))
    if pixels > limits.max_pixels:
        raise TooManyPixels(
            f"The picture has {pixels / 1e6:.1f} million pixels; "
            f"at most {limits.max_pixels / 1e6:g} are accepted here."
        )


def _info(image: Image.Image) -> PictureInfo:
    width, height = upright_size(image)
    name = str(image.format)
    return PictureInfo(name, media_type(name), width, height, _rgb_profile(image))


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return the image's ICC profile if it is one of RGB numbers (ICC.1:2022, 7.2)."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > png_chunks.LARGEST_PROFILE or image.mode == "CMYK":
        return None
    return profile if profile[16:20] == b"RGB " and profile[36:40] == b"acsp" else None
