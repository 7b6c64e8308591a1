"""Photographs changed a strip at a time: a JPEG of any size goes through 15 MB of memory.

libvips reads the file strip by strip. Each changed strip is written as a JPEG of its own, and these become
one file: their entropy-coded data are put one behind the other. That is possible because the encoder begins
anew at restart markers, here after each row of blocks, which are numbered 0 to 7 in turn; a strip of a
multiple of eight such rows ends where the next one begins to count. Sources: ITU-T T.81, B.2 and E.1.4.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
from PIL import Image

from flask_detector.errors import DamagedPicture
from flask_detector.imaging import vips
from flask_detector.imaging.pixels import Picture, Pixels, placed

# With 4:2:0 a row of blocks is 16 pixels high.
_COUNTED_ROWS: Final = 8 * 16
STRIP_PIXELS = 1 << 19

_START_OF_SCAN: Final = 0xDA
_START_OF_FRAME: Final = 0xC0
_RESTART_7: Final = b"\xff\xd7"
_END_OF_IMAGE: Final = b"\xff\xd9"

Change = Callable[[Image.Image, int], None]


def change_jpeg(
    data: bytes,
    change: Change,
    *,
    orientation: int = 1,
    quality: int = 90,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return a JPEG file, grey or of three colours and known to be whole, upright and with changed pixels.

    change: called with each strip, an RGB image that it may draw on, and the number of the strip's first row.
    orientation: the EXIF orientation that is to be applied.

    Nothing of its metadata is kept. Raises DamagedPicture where libvips can't read it.
    """
    try:
        image = _opened(data)
        width, height = (image.height, image.width) if orientation > 4 else (image.width, image.height)
        strips = _upright(image, orientation, _rows_of_strip(width))
        return _written(strips, height, change, quality, icc_profile)
    except vips.Error as error:
        raise DamagedPicture("The JPEG file is of a rare kind.") from error


def write_jpeg(
    pixels: Pixels, change: Change, *, quality: int = 90, icc_profile: bytes | None = None
) -> bytes:
    """Return pixels, changed as `change_jpeg` does it, as a JPEG file."""
    rows = _rows_of_strip(pixels.columns)
    strips = ((top, pixels[top : top + rows]) for top in range(0, pixels.rows, rows))
    return _written(strips, pixels.rows, change, quality, icc_profile)


def _rows_of_strip(width: int) -> int:
    return max(1, STRIP_PIXELS // width // _COUNTED_ROWS) * _COUNTED_ROWS


def _written(
    strips: Iterable[tuple[int, Picture]],
    height: int,
    change: Change,
    quality: int,
    icc_profile: bytes | None,
) -> bytes:
    parts = io.BytesIO()
    for top, strip in strips:
        drawing = Image.fromarray(strip)
        change(drawing, top)
        file = io.BytesIO()
        drawing.save(
            file,
            "JPEG",
            quality=quality,
            subsampling="4:2:0",
            restart_marker_rows=1,
            icc_profile=icc_profile,
        )
        header, scan = _split(file.getvalue(), height)
        parts.write(_RESTART_7 if top else header)
        parts.write(scan)
    parts.write(_END_OF_IMAGE)
    return parts.getvalue()


def _opened(data: bytes) -> vips.Image:
    image = vips.opened("jpegload", data)
    return image if image.bands == 3 else image[0].bandjoin([image[0], image[0]])


def _upright(image: vips.Image, orientation: int, rows: int) -> Iterator[tuple[int, Picture]]:
    """Yield the first row and the pixels (N, W, 3) of each strip of the upright picture, from the top."""
    if orientation == 1:
        yield from _strips(image, rows)
        return
    # Its first row is the stored picture's last row or a column of it: that needs all of it at once.
    with tempfile.TemporaryFile() as file:
        for _, strip in _strips(image, _COUNTED_ROWS):
            file.write(strip.tobytes())
        file.flush()
        height = image.width if orientation > 4 else image.height
        width = image.height if orientation > 4 else image.width
        for top in range(0, height, rows):
            strip = np.empty((min(rows, height - top), width, 3), np.uint8)
            (left, upper, right, lower), stored = placed(strip, top, height, orientation)
            length = 3 * (right - left)
            for number, row in enumerate(range(upper, lower)):
                data = os.pread(file.fileno(), length, 3 * (row * image.width + left))
                stored[number] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            yield top, strip


def _strips(image: vips.Image, rows: int) -> Iterator[tuple[int, Picture]]:
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        pixels = image.crop(0, top, image.width, count).write_to_memory()
        yield top, np.frombuffer(pixels, np.uint8).reshape(count, image.width, 3)


def _split(jpeg: bytes, height: int) -> tuple[bytes, memoryview]:
    """Return the header of a JPEG, for a picture of another height, and its entropy-coded data."""
    place, height_at = 2, 0
    while True:
        kind, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if kind == _START_OF_FRAME:
            height_at = place + 5
        place += 2 + length
        if kind == _START_OF_SCAN:
            break
    header = jpeg[:height_at] + height.to_bytes(2, "big") + jpeg[height_at + 2 : place]
    return header, memoryview(jpeg)[place : -len(_END_OF_IMAGE)]
