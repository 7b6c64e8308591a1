"""Encode an RGB array as a picture file, or transcode a file with something drawn on it."""

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
from PIL import Image

from flask_detector.imaging import decode, large_pictures, sniff
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture, Pixels, strips
from flask_detector.structures.masks import Bitmap

_QUALITY: Final = 90

# The fast settings: of 12 megapixels WebP takes 0.4 s instead of 0.9, AVIF 0.5 instead of 2.0, and PNG 0.8
# instead of 3.4, for files that are at most a fifth larger.
_WRITING: Final[dict[str, dict[str, object]]] = {
    "JPEG": {},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 1},
    "AVIF": {"speed": 9},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
}

# The same by libvips, whose names for these settings are others. PNG has all filters to choose from.
_BY_VIPS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "JPEG": ("jpegsave", {"Q": _QUALITY, "subsample_mode": "on"}),
    "PNG": ("pngsave", {"compression": 2, "filter": 0xF8}),
    "WEBP": ("webpsave", {"Q": _QUALITY, "effort": 1}),
    "TIFF": ("tiffsave", {"compression": "lzw"}),
}

_LOSSY: Final = {"JPEG", "WEBP", "AVIF", "HEIF"}

# In pixels; of the formats without one no picture that is accepted is too long.
_LONGEST_SIDES: Final = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 32_768}

Draw = Callable[[Image.Image, int], None]


def output_format(picture_format: str, pixels: int = 0) -> str:
    """Return the format in which a drawn picture of that many pixels goes back: the upload's, if that can be.

    A GIF holds 256 colours: a drawn one would have its boxes and its labels dithered, so it becomes PNG. HEIC
    is only read here, and the encoder of AVIF takes 30 bytes a pixel: a HEIC, or a large AVIF, becomes JPEG.
    """
    if picture_format == "GIF":
        return "PNG"
    if picture_format == "HEIF" or (picture_format == "AVIF" and pixels > large_pictures.LARGE_PIXELS):
        return "JPEG"
    return picture_format


def encode(
    picture: Picture | Image.Image,
    picture_format: str,
    *,
    quality: int = _QUALITY,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return a picture (H, W, 3), RGB, uint8, as a file without any metadata but its colour profile.

    picture_format: one that `output_format` returns.
    quality: 0..100, of JPEG, WebP and AVIF; the other formats keep each pixel.
    """
    image = _bare(picture) if isinstance(picture, Image.Image) else Image.fromarray(picture)
    options = _WRITING[picture_format] | {"icc_profile": icc_profile}
    if picture_format in _LOSSY:
        options["quality"] = quality
    file = io.BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """Return the same pixels without what the file told beside them, which Pillow would write again."""
    image.load()
    bare = image._new(image.im)  # unlike a copy it needs no memory of its own
    bare.info = {}
    return bare


def transcode(data: bytes, limits: Limits, output: str | None, draw: Draw | None = None) -> tuple[bytes, str]:
    """Return a file in another format, upright, at full size, with something drawn on it, and its media type.

    output: the format, or the nearest to it that `output_format` returns; None for one that every browser
        shows: photographs become JPEG, what was kept without loss and has flat areas, such as a screenshot,
        becomes PNG, which is then the smaller file too and keeps its edges sharp. Where the format can't hold
        a picture of that size it is PNG, too.
    draw: called with an RGB image of some rows of the picture, to draw on, and the first one's number.

    Nothing of its metadata is kept but the colour profile. Raises what `decode` raises.
    """
    pixels, info = decode.load(data, limits)
    if output is None:
        output = "PNG" if info.format not in _LOSSY and _has_flat_areas(pixels) else "JPEG"
    size = info.width * info.height
    output = output_format(output, size)
    longest = max(info.width, info.height)
    if longest > _LONGEST_SIDES.get(output, longest):
        output = "PNG"
    media_type = sniff.media_type(output)

    def drawn(first: int, last: int) -> Picture:
        strip = pixels[first:last]
        if draw is None:
            return strip
        image = Image.fromarray(strip)
        draw(image, first)
        return np.asarray(image)

    if size > large_pictures.LARGE_PIXELS and output in _BY_VIPS:
        with suppress(OSError):  # no room for a file
            return _encode_rows(drawn, (info.width, info.height, 3), output, info.icc_profile), media_type
    whole = pixels.image()
    if draw is not None:
        draw(whole, 0)
    return encode(whole, output, icc_profile=info.icc_profile), media_type


def cut_out(pixels: Pixels, box: tuple[int, int, int, int], inside: Bitmap | None) -> bytes:
    """Return a part of a picture as a PNG file.

    box: left, top, right and bottom.
    inside: which pixels (H, W) of the part are kept, the others become transparent; None for all.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top

    def rows(first: int, last: int) -> Picture:
        part = pixels[top + first : top + last][:, left:right]
        if inside is None:
            return np.ascontiguousarray(part)
        return np.dstack([part, inside[first:last] * np.uint8(255)])

    if width * height > large_pictures.LARGE_PIXELS:
        with suppress(OSError):  # no room for a file
            return _encode_rows(rows, (width, height, 3 if inside is None else 4), "PNG", None)
    file = io.BytesIO()
    Image.fromarray(rows(0, height)).save(file, "PNG", **_WRITING["PNG"])
    return file.getvalue()


def _encode_rows(
    rows: Callable[[int, int], Picture],
    shape: tuple[int, int, int],
    picture_format: str,
    icc_profile: bytes | None,
) -> bytes:
    """Return a large picture of that width, height and number of bands as a file; raises OSError.

    rows: gives those (N, width, bands) from a first one to that before a last one; asked from the top.
    """
    from flask_detector.imaging import vips

    saver, options = _BY_VIPS[picture_format]
    parts = (rows(first, last) for first, last in strips(*shape[:2]))
    try:
        return vips.encode(parts, shape, saver, icc_profile, **options)
    except vips.Error as error:
        raise OSError(str(error)) from error


def _has_flat_areas(pixels: Pixels) -> bool:
    """Tell whether much of a picture repeats its neighbour, as in a screenshot, a chart or a drawing.

    Looks at up to 64 rows.
    """
    numbers = range(0, pixels.rows, max(1, pixels.rows // 64))
    rows = np.concatenate([pixels[number : number + 1] for number in numbers])
    repeats = (rows[:, 1:] == rows[:, :-1]).all(axis=2)
    return bool(repeats.size == 0 or repeats.mean() > 0.6)
