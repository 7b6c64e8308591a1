"""Which page of a TIFF file is its picture: cameras' raw files and some others begin with a small preview.

A page may have further ones of its own, the SubIFDs: a large picture's smaller copies, or behind a preview
the picture itself.

Sources: TIFF 6.0, section 8 (NewSubfileType); TIFF Tech Note 1 (SubIFDs); TIFF/EP (ISO 12234-2) and DNG 1.7
for raw files.
"""

import struct
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from flask_detector.imaging.sniff import raw_file

_REDUCED: Final = 1  # and bits for a page of several, a mask
_MASK: Final = 4
_OLD_REDUCED: Final = 2
# The sensor's numbers as a mosaic or without one, and how Nikon, Sony, Pentax and Samsung pack them.
_SENSOR_PHOTOMETRICS: Final = {32803, 34892}
_SENSOR_COMPRESSIONS: Final = {34713, 32767, 65535, 32769, 32770}
_CANON: Final = b"CR"
_PHASE_ONE: Final = {b"IIII", b"MMMM"}
_MOST_DIRECTORIES: Final = 64


class _Page(NamedTuple):
    place: int
    tags: Directory

    @property
    def pixels(self) -> int:
        return int(self.tags.get(Tag.ImageWidth, 0)) * int(self.tags.get(Tag.ImageLength, 0))


def picture_place(file: IO[bytes]) -> int | None:
    """Return where the picture's directory lies, or None where it is the file's first one.

    The picture is the first page that is no reduced copy of another one, nor a mask. A page that belongs to
    another one comes before it where it is larger. Of a file of nothing but copies the largest is taken.

    Raises UnsupportedPicture for a raw file of a camera, and what Pillow raises for a damaged one.
    """
    file.seek(0)
    head = file.read(16)
    is_marked = head[8:10] == _CANON or head[8:12] in _PHASE_ONE
    first = int(_directory(head).next)
    found: list[_Page] = []
    for page in _chain(file, head, first):
        family = [page, *_inner(file, head, page.tags)]
        if is_marked or any(_is_raw(one.tags) for one in family):
            makers = (one.tags[Tag.Make] for one in family if Tag.Make in one.tags)
            raise raw_file(next((str(maker).strip("\0 ") for maker in makers), None))
        if full := [one for one in family if not _is_aside(one.tags)]:
            found = full
            break
        found += family
    place = max(found, key=lambda one: one.pixels).place
    return None if place == first else place


def beginning_at(file: IO[bytes], place: int) -> bytes:
    """Return a file whose first page is the one whose directory lies at that place."""
    file.seek(0)
    data = bytearray(file.read())
    order = "<" if data[:2] == b"II" else ">"
    if _is_big(data):
        struct.pack_into(order + "Q", data, 8, place)
    else:
        struct.pack_into(order + "I", data, 4, place)
    return bytes(data)


def _directory(head: bytes) -> Directory:
    # Pillow takes a BigTIFF for one only if its order is little-endian.
    return Directory(b"II+\0" + head[4:], prefix=head[:2]) if _is_big(head) else Directory(head[:8])


def _is_big(head: bytes | bytearray) -> bool:
    return 43 in head[2:4]


def _chain(file: IO[bytes], head: bytes, place: int) -> Iterator[_Page]:
    seen: set[int] = set()
    while place and place not in seen:
        if len(seen) == _MOST_DIRECTORIES:
            raise OSError("the file has too many directories")
        seen.add(place)
        tags = _directory(head)
        file.seek(place)
        tags.load(file)
        yield _Page(place, tags)
        place = tags.next


def _inner(file: IO[bytes], head: bytes, tags: Directory) -> list[_Page]:
    """Return the pages that belong to a page. A picture that is full itself needs none that can be read."""
    places = tags.get(Tag.SubIFDs, ())
    found: list[_Page] = []
    try:
        for place in places if isinstance(places, tuple) else (places,):
            if len(found) >= _MOST_DIRECTORIES:
                raise OSError("the file has too many directories")
            for page in _chain(file, head, int(place)):
                if page.pixels == 0:
                    raise ValueError("a page has no size")
                found.append(page)
    except (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        if _is_aside(tags):
            raise
    return found


def _is_raw(directory: Directory) -> bool:
    return (
        Tag.DNGVersion in directory
        or directory.get(Tag.PhotometricInterpretation) in _SENSOR_PHOTOMETRICS
        or directory.get(Tag.Compression) in _SENSOR_COMPRESSIONS
    )


def _is_aside(page: Directory) -> bool:
    kind = page.get(Tag.NewSubfileType, 0)
    return bool(kind & (_REDUCED | _MASK)) or page.get(Tag.SubfileType) == _OLD_REDUCED
