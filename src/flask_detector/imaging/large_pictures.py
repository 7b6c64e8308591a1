"""Large pictures: the memory that decoding needs, and decoding into a temporary file instead.

libvips decodes JPEG, PNG and TIFF row by row, and a WebP as a whole, but as one copy where Pillow holds four.
What it decoded lies in a temporary file, from which rows are read. Everything else comes from Pillow, as a
whole.
"""

import re
from typing import Any, Final

from PIL import Image
from PIL.ExifTags import Base as Tag

from flask_detector.imaging import jpeg_scans, png_chunks
from flask_detector.imaging.pixels import Box, Pixels
from flask_detector.imaging.rare_kinds import ByVips

# Smaller ones are decoded whole, which takes 16 MB at most.
LARGE_PIXELS = 4_000_000

_LOADERS: Final = {"JPEG": "jpegload", "PNG": "pngload", "TIFF": "tiffload", "WEBP": "webpload"}

# How many bytes a pixel takes while it is decoded, as measured for 24 and 48 megapixels, and a little more.
_BYTES_TO_DECODE: Final = {
    "AVIF": 10,
    "HEIF": 8,
    "JPEG": 4,
    "PNG": 9,
    "WEBP": 11,
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

# How Pillow calls what libvips gives, by the number of bands and their type.
_MODES: Final = {
    (1, "uchar"): "L",
    (2, "uchar"): "LA",
    (3, "uchar"): "RGB",
    (4, "uchar"): "RGBA",
    (1, "ushort"): "I;16",
}

# Mode, bits a sample and photometric interpretation of the plain kinds of TIFF (TIFF 6.0).
_PLAIN_TIFFS: Final = {("L", (8,), 1), ("RGB", (8, 8, 8), 2)}
_JPEG_IN_TIFF: Final = ("RGB", (8, 8, 8), 6)

_PNG_MODES: Final = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


class StoredRows:
    """A picture as its file stores it, decoded by libvips into a temporary file that ends with this object.

    mode: Pillow's name of how its pixels are kept.
    """

    def __init__(self, image: Image.Image, data: bytes) -> None:
        """Decode a large picture, of which `data` is the file; raises OSError where libvips can't do it."""
        from flask_detector.imaging import vips

        picture_format = str(image.format)
        # That a JPEG is whole is known when it comes here.
        fail_on = "none" if picture_format == "JPEG" else "error"
        try:
            found = vips.opened(_LOADERS[picture_format], data, fail_on=fail_on, access="random")
            if found.format == "ushort" and found.bands > 1:
                found = found.msb()  # Pillow takes the upper eight bits of sixteen, unless there is only grey
            mode = "CMYK" if found.interpretation == "cmyk" else _MODES.get((found.bands, found.format))
            if mode is None or (found.width, found.height) != image.size:
                raise OSError("libvips reads another picture than Pillow")
            self._found: Any = vips.in_parts(found)
            self.mode = mode
            self.crop((0, 0, 1, 1))  # the first pixel that is asked for has all of them decoded
        except vips.Error as error:
            raise OSError(str(error)) from error

    def crop(self, box: Box) -> Image.Image:
        """Return a part of it: left, upper, right and lower."""
        left, upper, right, lower = box
        size = right - left, lower - upper
        return Image.frombytes(self.mode, size, self._found.crop(left, upper, *size).write_to_memory())


def decoded(image: Image.Image, data: bytes) -> Pixels:
    """Return the pixels of an opened picture, of which `data` is the file.

    Raises OSError, among others, where some are missing.
    """
    if image.format == "JPEG" and not is_large(image):
        return jpeg_scans.load(image, data)
    if image.format == "JPEG":
        jpeg_scans.check_whole(data)
    elif image.format == "PNG":
        png_chunks.check_whole(data)
    return Pixels(image, stored_rows(image, data))


def is_large(image: Image.Image) -> bool:
    """Tell whether a picture takes too much memory to be decoded as a whole where there is another way."""
    return image.width * image.height > LARGE_PIXELS


def stored_rows(image: Image.Image, data: bytes) -> StoredRows | None:
    """Return the rows of an opened picture, of which `data` is the file.

    None for a small one, for one that libvips doesn't read as Pillow does, and where there is no room for a
    file or the picture is damaged: that is for Pillow to tell.
    """
    if not is_large(image) or not _is_plain(image):
        return None
    try:
        return StoredRows(image, data)
    except OSError:
        return None


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
        kind = (image.mode, tags.get(Tag.BitsPerSample), tags.get(Tag.PhotometricInterpretation))
        is_known = kind in _PLAIN_TIFFS or (kind == _JPEG_IN_TIFF and image.info.get("compression") == "jpeg")
        is_usual = set(tags.get(Tag.SampleFormat, (1,))) == {1} and tags.get(Tag.PlanarConfiguration, 1) == 1
        is_in_rows = Tag.TileWidth not in tags and tags.get(Tag.Orientation, 1) == 1
        return is_known and is_usual and is_in_rows and image.tell() == 0
    return False
