"""Open a picture file: recognise its format, read its header, check the limits; decode no pixel."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any, BinaryIO, Final, cast

from PIL import Image, ImageFile
from PIL.ExifTags import Base as Tag

from flask_detector.errors import DamagedPicture, TooManyPixels, UnsupportedPicture
from flask_detector.imaging import gif_blocks, jpeg_scans, png_chunks, tiff_pages
from flask_detector.imaging.large_pictures import DECODING_BYTES_PER_PIXEL
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.rare_kinds import ByVips
from flask_detector.imaging.sniff import HEAD_BYTES, format_of, names_avif, refusal
from flask_detector.process.memory import would_exceed_limit

# The class that reads a format, imported when the first such file comes.
_READERS: Final = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pi_heif", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
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

# A JPEG's segment takes four reads; the glueing of a thousand of them, 25 MB together, takes a few seconds.
_MOST_HEADER_READS: Final = 4000
_PILLOW: Final = re.compile(r"PIL\.")
_WHITE_IS_ZERO: Final = 0


@contextmanager
def opened(source: bytes | BinaryIO, limits: Limits) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Give the file's picture, not decoded yet, and the file that it is read from.

    What is raised within, on reading the header or decoding, becomes one of our errors.
    """
    file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    picture_format = _recognise(file, limits)
    _set_up_pillow(limits)
    pixels = limits.max_pixels
    try:
        if picture_format == "PNG":
            file = io.BytesIO(png_chunks.only_needed(bytes_of(file)))
        elif picture_format == "GIF":
            file = io.BytesIO(gif_blocks.only_needed(bytes_of(file)))
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
        if is_of_memory or would_exceed_limit(DECODING_BYTES_PER_PIXEL * pixels):
            raise TooManyPixels("The picture needs more memory than one picture may have here.") from error
        picture = f"{'an' if picture_format == 'AVIF' else 'a'} {picture_format} picture"
        if _RARE.search(str(error)):
            raise UnsupportedPicture(
                f"The file is {picture} of a rare kind, which can't be read here."
            ) from error
        raise DamagedPicture(
            f"The file starts as {picture}, but it is cut short, corrupt or of a rare kind."
        ) from error


def bytes_of(file: BinaryIO) -> bytes:
    """Return all of a file, which is read from its start."""
    file.seek(0)
    return file.getvalue() if isinstance(file, io.BytesIO) else file.read()


def _read_header(header: "_Header", file: BinaryIO, picture_format: str) -> Image.Image:
    """Return the picture, not decoded yet, by Pillow or, where it can't read that kind, by libvips."""
    module, reader = _READERS[picture_format]
    if _needs_libvips(file, picture_format):
        return ByVips(picture_format, bytes_of(file))
    try:
        image: ImageFile.ImageFile = getattr(import_module(module), reader)(header)
    except SyntaxError:
        if picture_format != "TIFF":
            raise
        return ByVips("TIFF", bytes_of(file))
    if picture_format == "TIFF" and _is_beyond_pillow(image):
        return ByVips("TIFF", bytes_of(file))
    return image


def _is_beyond_pillow(tiff: Image.Image) -> bool:
    """Tell whether Pillow can't unpack a TIFF's pixels, or takes their numbers for others than they are."""
    tags: Mapping[int, Any] = getattr(tiff, "tag_v2", {})
    bits = max(tags.get(Tag.BitsPerSample, (1,)))
    is_negative = tags.get(Tag.PhotometricInterpretation) == _WHITE_IS_ZERO
    is_planar = tags.get(Tag.PlanarConfiguration, 1) != 1
    is_unsigned = set(tags.get(Tag.SampleFormat, (1,))) == {1}
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
    limits.check_bytes(file.seek(0, io.SEEK_END))
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
        pixels = max(pixels, tags.get(Tag.TileWidth, 0) * tags.get(Tag.TileLength, 0))
    limits.check_pixels(pixels)
