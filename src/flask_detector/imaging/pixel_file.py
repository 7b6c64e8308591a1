"""The pixels of a large picture, kept in a temporary file: they take no memory, and can be drawn on.

The file is a TIFF without compression, which libvips reads strip by strip and writes in other formats.
Source: TIFF 6.0, sections 2 and 6.
"""

import os
import struct
import weakref
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

import numpy as np
from PIL import Image

from flask_detector.imaging.pixels import Picture, Pixels

_SHORT: Final = 3
_LONG: Final = 4
_RGB: Final = 2
_UNCOMPRESSED: Final = 1
_TOGETHER: Final = 1  # a pixel's numbers, not a plane's
_UNASSOCIATED_ALPHA: Final = 2
# A file of that kind has 32 bits for its own length.
_MOST_BYTES: Final = (1 << 32) - (1 << 20)

STRIP_PIXELS = 1 << 19


class Spool(Pixels):
    """Pixels in a file of their own, which ends with this object."""

    def __init__(self, width: int, height: int, *, bands: int = 3) -> None:
        """Take room for a picture of that size, upright.

        bands: 4 for one with transparency, which can be written here and read by libvips.

        Raises OSError where there is no room.
        """
        self.width = self.columns = width
        self.height = self.rows = height
        self.reduced = 1
        self._bands = bands
        header = _header(width, height, bands)
        self.start = len(header)
        if self.start + bands * width * height > _MOST_BYTES:
            raise OSError("the picture is too large for a file of pixels")
        self.file = scratch(self.start + bands * width * height)
        self.file.write(header)
        weakref.finalize(self, self.file.close)

    def put(self, first: int, strip: Picture) -> None:
        """Write rows (N, W, bands), the first of which is the row `first`."""
        self.file.seek(self._place(first))
        write_all(self.file, np.ascontiguousarray(strip).data.cast("B"))

    def numbers(self, start: int, stop: int) -> bytes:
        """Return some of all the numbers (rows, columns, 3), as they lie one behind the other."""
        found = np.empty(stop - start, np.uint8)
        read_all(self.file, self.start + start, found)
        return found.tobytes()

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the first row and the one behind the last of each strip, from the top."""
        at_once = max(1, STRIP_PIXELS // self.width)
        for first in range(0, self.rows, at_once):
            yield first, min(first + at_once, self.rows)

    def image(self) -> Image.Image:
        """Return all of them as an RGB image that may be drawn on; they are forgotten here."""
        whole = self.array()
        self.forget()
        return Image.fromarray(whole)

    def forget(self) -> None:
        """Give the file's room back; they can't be read any more."""
        self.file.close()

    def _read(self, first: int, strip: Picture) -> None:
        if self.file.closed:
            raise RuntimeError("these pixels are forgotten")
        read_all(self.file, self._place(first), strip)

    def _place(self, row: int) -> int:
        return self.start + self._bands * self.width * row


def scratch(size: int) -> BinaryIO:
    """Return a temporary file that has no name and no buffer, and room for so many bytes.

    Raises OSError where there is no room: at once, not when a mapping of it is written to.
    """
    file = cast(BinaryIO, TemporaryFile(buffering=0))  # noqa: SIM115  # whoever asked for it closes it
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
    except BaseException:
        file.close()
        raise
    return file


def read_all(file: BinaryIO, place: int, array: Picture) -> None:
    """Fill a C-contiguous array from a place in an unbuffered file."""
    file.seek(place)
    view = array.data.cast("B")
    while len(view):
        count = cast(int, file.readinto(view))  # type: ignore[attr-defined]  # BinaryIO lacks it
        if count == 0:
            raise OSError("the file of pixels ends early")
        view = view[count:]


def write_all(file: BinaryIO, view: memoryview) -> None:
    """Write all bytes to an unbuffered file."""
    while len(view):
        view = view[file.write(view) :]


def _header(width: int, height: int, bands: int) -> bytes:
    """Return what stands before the pixels: strips of about half a million, one behind the other."""
    rows = max(1, STRIP_PIXELS // width)
    count = -(-height // rows)
    strip = bands * width * rows
    lengths = [strip] * (count - 1) + [bands * width * height - strip * (count - 1)]
    tags = 10 + (bands == 4)
    bits_at = 8 + 2 + 12 * tags + 4
    offsets_at = bits_at + 2 * bands
    lengths_at = offsets_at + 4 * count
    start = lengths_at + 4 * count
    entries = [
        (256, _LONG, 1, width),
        (257, _LONG, 1, height),
        (258, _SHORT, bands, bits_at),
        (259, _SHORT, 1, _UNCOMPRESSED),
        (262, _SHORT, 1, _RGB),
        (273, _LONG, count, offsets_at if count > 1 else start),
        (277, _SHORT, 1, bands),
        (278, _LONG, 1, rows),
        (279, _LONG, count, lengths_at if count > 1 else lengths[0]),
        (284, _SHORT, 1, _TOGETHER),
        *([(338, _SHORT, 1, _UNASSOCIATED_ALPHA)] if bands == 4 else []),
    ]
    return (
        struct.pack("<2sHIH", b"II", 42, 8, tags)
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + bytes(4)
        + struct.pack(f"<{bands}H", *[8] * bands)
        + struct.pack(f"<{count}I", *(start + strip * number for number in range(count)))
        + struct.pack(f"<{count}I", *lengths)
    )
