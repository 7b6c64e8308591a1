"""An RGB array to a picture file, and a file to another one with something drawn over it."""

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import numpy as np
from PIL import Image

from flask_detector.imaging import avif_grid, decode, sniff
from flask_detector.imaging.decode_large import LARGE_PIXELS
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixel_file import Spool
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.masks import Bitmap

_QUALITY: Final = 90

# The fast settings: of 12 megapixels WebP takes 0.4 s instead of 0.9, AVIF 0.5 instead of 2.0, HEIC 1.3
# instead of 4.6, and PNG 0.8 instead of 3.4, for files that are at most a fifth larger.
_WRITING: Final[dict[str, dict[str, object]]] = {
    "JPEG": {},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 1},
    "AVIF": {"speed": 9},
    "HEIF": {"enc_params": {"preset": "ultrafast"}},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
}

# The same by libvips, whose names for these settings are others. PNG has all filters to choose from.
_IN_STRIPS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "PNG": ("pngsave", {"compression": 2, "filter": 0xF8}),
    "WEBP": ("webpsave", {"Q": _QUALITY, "effort": 1}),
    "TIFF": ("tiffsave", {"compression": "lzw"}),
}
# A HEIC or AVIF is made of tiles that are encoded one by one, as those of cameras are.
_TILE: Final = 1024

_BMP_DOTS: Final = 3780  # per metre: 96 per inch

_LOSSY: Final = {"JPEG", "WEBP", "AVIF", "HEIF"}

_JPEG_LONGEST_SIDE: Final = 65_500

Change = Callable[[Image.Image, int], None]


def output_format(picture_format: str) -> str:
    """Return the format in which a drawn picture goes back: the upload's, but PNG for GIF.

    A GIF holds 256 colours: a drawn one would have its boxes and its labels dithered.
    """
    return "PNG" if picture_format == "GIF" else picture_format


def _nothing(_: Image.Image, __: int) -> None:
    """Change nothing."""


def encode(
    picture: Picture | Image.Image,
    picture_format: str,
    *,
    quality: int = _QUALITY,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return a picture (H, W, 3), RGB, uint8, as a file without any metadata but its colour profile.

    quality: 0..100, of JPEG, WebP, AVIF and HEIC; the other formats keep each pixel.
    """
    image = _bare(picture) if isinstance(picture, Image.Image) else Image.fromarray(picture)
    options = _WRITING[picture_format] | {"icc_profile": icc_profile}
    if picture_format in _LOSSY:
        options["quality"] = quality
    file = io.BytesIO()
    if picture_format == "HEIF":
        from pillow_heif import from_pillow  # 4 MB that most processes never need

        from_pillow(image).save(file, **options)
    else:
        image.save(file, picture_format, **options)
    return file.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """Return the same pixels without what the file told beside them, which Pillow would write again."""
    image.load()
    bare = image._new(image.im)  # unlike a copy it needs no memory of its own
    bare.info = {}
    return bare


def change(data: bytes, limits: Limits, output: str | None, over: Change = _nothing) -> tuple[bytes, str]:
    """Return a file as another one, upright, at full size, with something drawn over it, and its media type.

    output: the format; None for one that every browser shows: photographs become JPEG, what was kept without
        loss and has flat areas, such as a screenshot, becomes PNG, which is then the smaller file too and
        keeps its edges sharp. Where the format can't hold a picture of that size it is PNG, too.
    over: called with an RGB image of some rows of the picture, to draw on, and the first one's number.

    Nothing of its metadata is kept but the colour profile. Raises what `decode` raises.
    """
    if output in {None, "JPEG"} and (told := decode.plain_jpeg(data, limits)) is not None:
        from flask_detector.imaging.encode_jpeg_strips import (
            change_jpeg,  # 10 MB that only the web process needs
        )

        orientation, profile = told
        return change_jpeg(data, over, orientation=orientation, icc_profile=profile), sniff.media_type("JPEG")
    pixels, info = decode.load(data, limits)
    if output is None:
        flat = info.format not in _LOSSY and _has_flat_areas(pixels)
        output = "PNG" if flat or max(info.width, info.height) > _JPEG_LONGEST_SIDE else "JPEG"
    if isinstance(pixels, Spool):
        return _change_in_strips(pixels, output, info.icc_profile, over)
    whole = pixels.image()
    over(whole, 0)
    try:
        return encode(whole, output, icc_profile=info.icc_profile), sniff.media_type(output)
    except (OSError, RuntimeError, ValueError):
        # WebP ends at 16383 pixels a side, JPEG at 65500; what AVIF and HEIC can't hold, only encoders know.
        return encode(whole, "PNG", icc_profile=info.icc_profile), sniff.media_type("PNG")


def _change_in_strips(
    spool: Spool, output: str, icc_profile: bytes | None, over: Change
) -> tuple[bytes, str]:
    """Do what `change` does with the pixels of a large picture, which are in a file."""
    if output == "JPEG":
        from flask_detector.imaging.encode_jpeg_strips import write_jpeg

        return write_jpeg(spool, over, icc_profile=icc_profile), sniff.media_type(output)
    if over is not _nothing:
        for first, last in spool.ranges():
            strip = Image.fromarray(spool[first:last])
            over(strip, first)
            spool.put(first, np.asarray(strip))
    try:
        return _encode_spool(spool, output, icc_profile), sniff.media_type(output)
    except (OSError, RuntimeError, ValueError):
        return _encode_spool(spool, "PNG", icc_profile), sniff.media_type("PNG")


def _encode_spool(spool: Spool, picture_format: str, icc_profile: bytes | None) -> bytes:
    if picture_format in _IN_STRIPS:
        from flask_detector.imaging import vips

        saver, options = _IN_STRIPS[picture_format]
        try:
            return vips.convert(spool.file, saver, icc_profile, **options)
        except vips.Error as error:
            raise ValueError("libvips can't write the picture") from error
    if picture_format == "HEIF" and max(spool.width, spool.height) > _TILE:
        from pillow_heif import encode as encode_heif

        file = io.BytesIO()
        size = (spool.width, spool.height)
        options = _WRITING["HEIF"] | {"icc_profile": icc_profile, "quality": _QUALITY, "tile_size": _TILE}
        encode_heif("RGB", size, _Numbers(spool), file, **options)
        return file.getvalue()
    if picture_format == "BMP":
        return _bmp_of(spool)
    if picture_format == "AVIF" and avif_grid.fits(spool.width, spool.height, _TILE):
        with suppress(ValueError):  # of another encoder than is known here
            size = (spool.width, spool.height)
            return avif_grid.joined(
                [encode(tile, "AVIF") for tile in _tiles(spool)], *size, _TILE, icc_profile
            )
    return encode(Image.fromarray(spool.array()), picture_format, icc_profile=icc_profile)


def _tiles(spool: Spool) -> Iterator[Picture]:
    """Yield the squares that a picture is made of; at the far edges its last pixels go on."""
    for top in range(0, spool.height, _TILE):
        rows = spool[top : top + _TILE]
        rows = np.pad(rows, ((0, _TILE - len(rows)), (0, -spool.width % _TILE), (0, 0)), "edge")
        for left in range(0, spool.width, _TILE):
            yield np.ascontiguousarray(rows[:, left : left + _TILE])


def _bmp_of(spool: Spool) -> bytes:
    """Return a BMP file: BITMAPFILEHEADER and BITMAPINFOHEADER, then rows of BGR from the last one up."""
    stride = (3 * spool.width + 3) // 4 * 4
    size, start = stride * spool.height, 14 + 40
    file = io.BytesIO()
    file.write(struct.pack("<2sIII", b"BM", start + size, 0, start))
    sides = (spool.width, spool.height)
    file.write(struct.pack("<3I2H6I", 40, *sides, 1, 24, 0, size, _BMP_DOTS, _BMP_DOTS, 0, 0))
    for first, last in reversed(list(spool.ranges())):
        rows = np.zeros((last - first, stride), np.uint8)
        rows[:, : 3 * spool.width] = spool[first:last][::-1, :, ::-1].reshape(last - first, -1)
        file.write(rows.data)
    return file.getvalue()


class _Numbers:
    """A spool's numbers as if they were bytes in memory, for an encoder that takes slices of rows."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __len__(self) -> int:
        return 3 * self._spool.width * self._spool.height

    def __getitem__(self, wanted: slice) -> bytes:
        return self._spool.numbers(wanted.start, wanted.stop)


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

    if width * height > LARGE_PIXELS:
        with suppress(OSError):  # no room for a file
            spool = Spool(width, height, bands=3 if inside is None else 4)
            for first, last in spool.ranges():
                spool.put(first, rows(first, last))
            return _encode_spool(spool, "PNG", None)
    file = io.BytesIO()
    Image.fromarray(rows(0, height)).save(file, "PNG", **_WRITING["PNG"])
    return file.getvalue()


def _has_flat_areas(pixels: Pixels) -> bool:
    """Tell whether much of a picture repeats its neighbour, as in a screenshot, a chart or a drawing.

    Looks at up to 64 rows.
    """
    numbers = range(0, pixels.rows, max(1, pixels.rows // 64))
    rows = np.concatenate([pixels[number : number + 1] for number in numbers])
    repeats = (rows[:, 1:] == rows[:, :-1]).all(axis=2)
    return bool(repeats.size == 0 or repeats.mean() > 0.6)
