"""Large pictures decoded into a file (`Spool`), with as little in memory at a time as their format lets.

libvips reads JPEG, PNG and TIFF row by row, and a WebP as a whole, but as one copy where Pillow holds four.
HEIC comes as a whole from its library, and everything else from Pillow: once it lies in the file, what
follows needs no memory for it.
"""

import io
import re
from typing import BinaryIO, Final

import numpy as np
from PIL import Image

from flask_detector.imaging import pixels as in_memory
from flask_detector.imaging.by_vips import ByVips
from flask_detector.imaging.pixel_file import Spool, read_all, scratch
from flask_detector.imaging.pixels import Pixels, Strip

# Smaller ones are decoded whole, which takes 16 MB at most.
LARGE_PIXELS = 4_000_000

_LOADERS: Final = {"JPEG": "jpegload", "PNG": "pngload", "TIFF": "tiffload", "WEBP": "webpload"}

# How many bytes a pixel takes while it is decoded, as measured for 24 and 48 megapixels, and a little more.
_BYTES_TO_DECODE: Final = {
    "AVIF": 10,
    "HEIF": 6,
    "JPEG": 4,
    "PNG": 9,
    "WEBP": 10,
    "GIF": 2,
    "BMP": 4,
    "TIFF": 9,
}
# What the costliest reader takes (AVIF by libvips: 26 bytes a pixel), with some to spare.
DECODING_BYTES_PER_PIXEL: Final = 32
# So many more take ten or twelve bits, and transparency, each, where a picture comes as a whole.
_BYTES_FOR_MORE: Final = 5
_BYTES_BY_VIPS: Final = {"AVIF": 26, "TIFF": 16}
# An AV1 configuration that tells of more than eight bits (AV1 in ISOBMFF, 2.3.3).
_DEEP_AV1: Final = re.compile(rb"av1C\x81.[\x40-\x7f\xc0-\xff]", re.DOTALL)

# That a JPEG is whole is known when it comes here.
_FAIL_ON: Final = {"JPEG": "none", "PNG": "error", "TIFF": "error", "WEBP": "error"}

# How Pillow calls what libvips gives, by the number of bands and their type.
_MODES: Final = {(1, "uchar"): "L", (2, "uchar"): "LA", (3, "uchar"): "RGB", (1, "ushort"): "I;16"}
_BYTES: Final = {"L": 1, "LA": 2, "RGB": 3, "I;16": 2, "RGBA": 4, "CMYK": 4}

# Tags and their values that tell the plain kinds of TIFF (TIFF 6.0): photometric interpretation and the like.
_TIFF_BITS: Final = 258
_TIFF_PHOTOMETRIC: Final = 262
_TIFF_ORIENTATION: Final = 274
_TIFF_PLANES: Final = 284
_TIFF_SAMPLE_FORMAT: Final = 339
_PLAIN_TIFFS: Final = {("L", (8,), 1), ("RGB", (8, 8, 8), 2)}
_JPEG_IN_TIFF: Final = ("RGB", (8, 8, 8), 6)

_PNG_MODES: Final = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


def is_large(image: Image.Image) -> bool:
    """Tell whether a picture is one for a file."""
    return image.width * image.height > LARGE_PIXELS


def decoding_bytes(image: Image.Image, data: bytes) -> int:
    """Return about how much memory it takes to decode a picture, beside what even a small one takes.

    data: the picture's file.
    """
    if not is_large(image) or (_is_plain(image) and not _is_whole(image)):
        return 0
    by_vips = isinstance(image, ByVips)
    of_a_pixel = (_BYTES_BY_VIPS if by_vips else _BYTES_TO_DECODE)[str(image.format)]
    if image.format in {"AVIF", "HEIF", "WEBP"} and not by_vips:
        is_deep = image.info.get("bit_depth", 8) > 8 or _DEEP_AV1.search(data) is not None
        of_a_pixel += _BYTES_FOR_MORE * (is_deep + (image.mode == "RGBA"))
    return image.width * image.height * of_a_pixel


def spooled(image: Image.Image, data: bytes) -> Pixels:
    """Return the pixels of an opened picture, upright and in RGB; `data` is its file.

    They come in memory where there is no room for a file. Raises what the picture's reader raises.
    """
    try:
        if (found := _read_in_rows(image, data)) is not None:
            return found
    except OSError:
        pass  # no room, or damaged: that is for Pillow to tell
    pixels = Pixels(image)
    try:
        spool = Spool(pixels.columns, pixels.rows)
        for first, last in spool.ranges():
            spool.put(first, pixels[first:last])
    except OSError:
        return pixels
    pixels.forget()
    return spool


def _read_in_rows(image: Image.Image, data: bytes) -> Spool | None:
    """Return the pixels of a kind of picture that needs no Pillow, else None."""
    if image.format == "HEIF":
        return _from_libheif(image, data)
    if _is_plain(image):
        return _from_libvips(image, data)
    return None


def _is_whole(image: Image.Image) -> bool:
    """Tell whether no row of a picture is done before all of them are."""
    return image.format == "WEBP" or "progressive" in image.info


def _is_plain(image: Image.Image) -> bool:
    """Tell whether libvips reads the same out of a picture as Pillow does."""
    if image.format == "WEBP":
        return True
    if image.format == "JPEG":
        return image.mode in {"L", "RGB", "CMYK"}
    if image.format == "PNG":
        is_keyed = "transparency" in image.info and image.mode != "P"
        return image.mode in _PNG_MODES and not is_keyed and not image.info.get("interlace")
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        kind = (image.mode, tags.get(_TIFF_BITS), tags.get(_TIFF_PHOTOMETRIC))
        is_known = kind in _PLAIN_TIFFS or (kind == _JPEG_IN_TIFF and image.info.get("compression") == "jpeg")
        is_usual = set(tags.get(_TIFF_SAMPLE_FORMAT, (1,))) == {1} and tags.get(_TIFF_PLANES, 1) == 1
        return is_known and is_usual and tags.get(_TIFF_ORIENTATION, 1) == 1 and image.tell() == 0
    return False


def _from_libvips(image: Image.Image, data: bytes) -> Spool | None:
    from flask_detector.imaging import vips

    picture_format = str(image.format)
    try:
        found = vips.opened(_LOADERS[picture_format], data, fail_on=_FAIL_ON[picture_format])
        if found.format == "ushort" and found.bands > 1:
            found = found.msb()  # Pillow takes the upper eight bits of sixteen, unless there is only grey
        mode = "CMYK" if found.interpretation == "cmyk" else "RGBA" if found.bands == 4 else None
        mode = mode or _MODES.get((found.bands, found.format))
        if mode is None or (found.width, found.height) != image.size:
            return None
        if mode == "RGB" and in_memory.orientation_of(image) == 1:
            spool = Spool(*image.size)
            spool.file.seek(spool.start)
            vips.write_numbers(found, spool.file)
            return spool
        with scratch(_BYTES[mode] * image.width * image.height) as stored:
            vips.write_numbers(found, stored)
            return _upright(stored, mode, image)
    except vips.Error:
        return None


def _from_libheif(image: Image.Image, data: bytes) -> Spool | None:
    from pillow_heif import HeifFile

    # As Pillow's plugin opens it, which would make a second copy in memory.
    options = {"convert_hdr_to_8bit": True, "hdr_to_16bit": True, "remove_stride": False}
    file = HeifFile(io.BytesIO(data), **options)  # type: ignore[no-untyped-call]  # it has no types
    numbers = np.frombuffer(file.data, np.uint8)
    if file.mode not in {"RGB", "RGBA"} or file.size != image.size:
        return None
    rows = numbers.reshape(-1, file.stride)[: image.height, : _BYTES[file.mode] * image.width]
    to_rgb = _to_rgb(file.mode, image)
    spool = Spool(*image.size)
    for first, last in spool.ranges():
        piece = Image.frombytes(file.mode, (image.width, last - first), rows[first:last].tobytes())
        spool.put(first, np.asarray(to_rgb(piece)))
    return spool


def _upright(stored: BinaryIO, mode: str, image: Image.Image) -> Spool:
    """Return the pixels, which lie in a file as the image of that mode stores them."""
    orientation = in_memory.orientation_of(image)
    to_rgb = _to_rgb(mode, image)
    spool = Spool(*in_memory.upright_size(image))
    for first, last in spool.ranges():
        strip = np.empty((last - first, spool.width, 3), np.uint8)
        (left, upper, right, lower), view = in_memory.placed(strip, first, spool.height, orientation)
        part = np.empty((lower - upper, right - left, _BYTES[mode]), np.uint8)
        is_whole = right - left == image.width
        for top in [upper] if is_whole else range(upper, lower):
            rows = part if is_whole else part[top - upper]
            read_all(stored, _BYTES[mode] * (top * image.width + left), rows)
        piece = Image.frombytes(mode, (right - left, lower - upper), part.tobytes())
        view[:] = np.asarray(to_rgb(piece))
        spool.put(first, strip)
    return spool


def _to_rgb(mode: str, image: Image.Image) -> Strip:
    """Return what makes RGB of a strip of that mode, as of the image that it is one of."""
    like = Image.new(mode, (1, 1))
    like.info = {"icc_profile": image.info.get("icc_profile")}
    return in_memory.conversion(like)
