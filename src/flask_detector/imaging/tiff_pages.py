"""Which page of a TIFF file is its picture: cameras' raw files and some others begin with a small preview.

Sources: TIFF 6.0, section 8 (NewSubfileType); TIFF/EP (ISO 12234-2) and DNG 1.7 for raw files.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Final

from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from flask_detector.imaging.sniff import raw_file

_NEW_SUBFILE_TYPE: Final = 254
_OLD_SUBFILE_TYPE: Final = 255
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_MAKE: Final = 271
_SUB_DIRECTORIES: Final = 330
_DNG_VERSION: Final = 50706

_REDUCED: Final = 1  # and bits for a page of several, a mask
_MASK: Final = 4
_OLD_REDUCED: Final = 2
# The sensor's numbers as a mosaic or without one, and how Nikon, Sony, Pentax and Samsung pack them.
_SENSOR_PHOTOMETRICS: Final = {32803, 34892}
_SENSOR_COMPRESSIONS: Final = {34713, 32767, 65535, 32769, 32770}
_CANON: Final = b"CR"
_PHASE_ONE: Final = {b"IIII", b"MMMM"}
_MOST_DIRECTORIES: Final = 64


def picture_page(file: IO[bytes]) -> int:
    """Return the number of the first page that is no reduced copy of another one, nor a mask; else 0.

    Raises UnsupportedPicture for a raw file of a camera, and what Pillow raises for a damaged one.
    """
    file.seek(0)
    head = file.read(16)
    pages = _chain(file, head, _first(head))
    page = next(pages)
    directories = [page, *_inner(file, head, page)]
    is_marked = head[8:10] == _CANON or head[8:12] in _PHASE_ONE
    if is_marked or any(_is_raw(directory) for directory in directories):
        raise raw_file(
            next((str(found[_MAKE]).strip("\0 ") for found in directories if _MAKE in found), None)
        )
    if not _is_aside(page):
        return 0
    return next((number for number, other in enumerate(pages, 1) if not _is_aside(other)), 0)


def _first(head: bytes) -> int:
    return int(Directory(_header(head)).next)


def _header(head: bytes) -> bytes:
    return head if head[2] == 43 or head[3] == 43 else head[:8]


def _chain(file: IO[bytes], head: bytes, place: int) -> Iterator[Directory]:
    seen: set[int] = set()
    while place and place not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(place)
        found = Directory(_header(head))
        file.seek(place)
        found.load(file)
        yield found
        place = found.next


def _inner(file: IO[bytes], head: bytes, page: Directory) -> Iterator[Directory]:
    places = page.get(_SUB_DIRECTORIES, ())
    with suppress(ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        for place in (places if isinstance(places, tuple) else (places,))[:_MOST_DIRECTORIES]:
            yield from _chain(file, head, int(place))


def _is_raw(directory: Directory) -> bool:
    return (
        _DNG_VERSION in directory
        or directory.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
        or directory.get(_COMPRESSION) in _SENSOR_COMPRESSIONS
    )


def _is_aside(page: Directory) -> bool:
    kind = page.get(_NEW_SUBFILE_TYPE, 0)
    return bool(kind & (_REDUCED | _MASK)) or page.get(_OLD_SUBFILE_TYPE) == _OLD_REDUCED
