"""The pixels of a JPEG file that has all of them: libjpeg fills what is missing with grey and only warns.

Source: ITU-T T.81, B.1 and B.2.
"""

import re
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import simplejpeg
from PIL import Image

from flask_detector.imaging.pixels import DecodedPixels, Pixels

END_OF_IMAGE: Final = b"\xff\xd9"

_START_OF_IMAGE: Final = b"\xff\xd8"
_START_OF_SCAN: Final = 0xDA
_START_OF_FRAME: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = {0xC2, 0xC6, 0xCA, 0xCE}
# Tables of Huffman codes and of their arithmetic kin, of quantisation; the interval between restarts.
_TABLES: Final = {0xC4, 0xCC, 0xDB, 0xDD}
_NEEDED: Final = {_START_OF_SCAN} | _START_OF_FRAME | _TABLES
# JFIF's and Adobe's segment say in which colours the picture is stored.
_COLOURS: Final = {0xE0, 0xEE}
_COEFFICIENTS: Final = 64
_FOUR_INKS: Final = {"CMYK", "YCCK"}
# How the reader calls Pillow's modes.
_KINDS: Final = {"L": "GRAY", "RGB": "RGB"}

# Between segments a marker may follow on anything; within a scan some are part of it.
_MARKER: Final = re.compile(rb"\xff+([^\x00\xff])")
# With "+" behind the first byte the expression took sixteen times as long.
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_WITHOUT_LENGTH: Final = {0x01, *range(0xD0, 0xD9)}
# As many as a picture's header may have parts; a progressive picture has a dozen scans.
_MOST_SEGMENTS: Final = 4000


class _Segment(NamedTuple):
    """A marker and what belongs to it: `body` is the segment's own, `whole` has a scan's data as well."""

    kind: int
    body: bytes
    whole: bytes


def load(image: Image.Image, data: bytes, *, reduced: int = 1, size: tuple[int, int] | None = None) -> Pixels:
    """Return the pixels of a JPEG file that is opened, not decoded yet; raises OSError as `check_whole` does.

    A reader that reports warnings decodes it, to the very numbers that Pillow would give. What it warns of or
    can't read is decoded twice: once to check it, and by Pillow.

    reduced: at which fraction of its size Pillow's image will be: 1, 2, 4 or 8 times smaller.
    size: width and height of the whole picture, upright, if it is reduced.
    """
    if image.mode in _KINDS:
        width, height = image.size
        try:
            array = simplejpeg.decode_jpeg(
                _bare(data, _NEEDED | _COLOURS),
                _KINDS[image.mode],
                min_height=height,
                min_width=width,
                min_factor=reduced,
            )
        except ValueError:
            array = None
        if array is not None and array.shape[:2] == (height, width):
            return DecodedPixels(image, array, reduced=reduced, size=size)
    check_whole(data)
    return Pixels(image, reduced=reduced, size=size)


def check_whole(data: bytes) -> None:
    """Raise OSError where a JPEG file lacks scans, or where the data of one end early or make no sense.

    Its pixels are decoded at an eighth of their size for that. What libjpeg can't read at all raises nothing.
    """
    bare = _bare(data, _NEEDED)
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(bare, strict=False)
        simplejpeg.decode_jpeg(
            bare, "CMYK" if colours in _FOUR_INKS else "GRAY", min_height=1, min_width=1, min_factor=8
        )
    except ValueError as error:
        warning = str(error)
        if warning.startswith("Corrupt JPEG data") and "extraneous bytes" not in warning:
            raise OSError(warning) from error


def _bare(data: bytes, kinds: Container[int]) -> bytes:
    """Return a file of these segments alone; raise OSError where scans are missing.

    libjpeg tells its first warning only, and warns of oddities in the rest of the header, too.
    """
    needed = [part for part in _segments(data) if part.kind in kinds]
    if not _has_all_scans(needed):
        raise OSError("a scan is missing")
    return b"".join([_START_OF_IMAGE, *(part.whole for part in needed), END_OF_IMAGE])


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments of the file's first picture."""
    place = len(_START_OF_IMAGE)
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(data, place)
        if marker is None or marker[0].endswith(END_OF_IMAGE):
            return
        kind, place = marker[1][0], marker.end()
        if kind in _WITHOUT_LENGTH:
            continue
        start, end = place - 2, place + int.from_bytes(data[place : place + 2], "big")
        body = data[place + 2 : end]
        if kind == _START_OF_SCAN:
            next_marker = _END_OF_SCAN.search(data, end)
            end = len(data) if next_marker is None else next_marker.start()
        yield _Segment(kind, body, data[start:end])
        place = end
    raise OSError("there are too many segments")


def _has_all_scans(segments: list[_Segment]) -> bool:
    """Tell whether the scans hold each coefficient of each component to its last bit.

    A scan's header names components, the first and the last coefficient and, in its lower half, the last bit.
    """
    missing: set[tuple[int, int]] = set()
    is_progressive = False
    for kind, body, _ in segments:
        if kind in _START_OF_FRAME:
            is_progressive = kind in _PROGRESSIVE
            components = [body[at] for at in range(6, len(body) - 2, 3)]
            missing = {(name, number) for name in components for number in range(_COEFFICIENTS)}
        elif kind == _START_OF_SCAN and body:
            first, last, bits = body[-3:] if is_progressive and len(body) > 3 else (0, _COEFFICIENTS - 1, 0)
            if bits & 0x0F == 0:
                names = body[1 : 1 + 2 * body[0] : 2]
                missing -= {(name, number) for name in names for number in range(first, last + 1)}
    return not missing
