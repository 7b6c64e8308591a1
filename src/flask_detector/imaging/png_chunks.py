"""A PNG file reduced to what its pixels need, so that nothing else in it can be in a reader's way.

Source: PNG, third edition (W3C, 2025), sections 5 and 11.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from flask_detector.errors import UnsupportedPicture

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE: Final = 64 * 1024

_OF_IPHONES: Final = b"CgBI"  # its colours are swapped, its pixels deflated without zlib's frame
_UNPACK: Final = (
    "Send the one that it was made of, or turn it back with "
    "'xcrun -sdk iphoneos pngcrush -revert-iphone-optimizations FILE picture.png'."
)

_ANCILLARY: Final = 0x20  # in the first letter
# Programs write some thousands at most; to look at so many takes a tenth of a second.
_MOST_CHUNKS: Final = 100_000
_INFLATED_AT_ONCE: Final = 8192  # becomes 8 MB at the most
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type
# Adam7: the first column and row of each pass, and the steps across and down.
_INTERLACED: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
# How long a chunk of transparency is, by the colour type: grey, colours, palette.
_TRANSPARENCY_LENGTHS: Final = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}


def only_needed(data: bytes) -> bytes:
    """Return a PNG file's critical chunks, with transparency, colour profile and EXIF where they are usable.

    A checksum that is wrong plays no part in those three: they are taken as they can be read. EXIF stands
    before the pixels afterwards, for readers that decide there how the picture is turned. Texts are never
    inflated, and a profile only as far as it may be long. Further pictures of an animation are left out.

    What isn't made of chunks from some place on comes as it is: that is for a reader to tell. Raises OSError
    where a critical chunk's checksum is wrong or there are too many chunks, UnsupportedPicture for a file
    that is packed for iPhones.
    """
    before: list[bytes | memoryview] = [SIGNATURE]
    behind: list[bytes | memoryview] = []
    colour_type = None
    for kind, body, whole in _chunks(data):
        if kind == _OF_IPHONES:
            raise UnsupportedPicture("The file is a PNG that Xcode packed for iPhones.", hint=_UNPACK)
        if kind == b"IHDR":
            colour_type = body[9] if len(body) > 9 else None
        if not kind or not kind[0] & _ANCILLARY:
            (behind if behind or kind == b"IDAT" else before).append(whole)
        elif kind == b"eXIf" or (not behind and _is_usable(kind, bytes(body), colour_type)):
            before.append(_chunk(kind, bytes(body)))
    return b"".join(before + behind)


def check_whole(data: bytes) -> None:
    """Raise OSError where a PNG file's pixels end too soon, though their stream ends as it should.

    Readers leave what is missing as it happens to be. So the stream is inflated once more, bit by bit.
    """
    missing = _length_of_pixels(data[len(SIGNATURE) + 8 : len(SIGNATURE) + 21])
    inflating = zlib.decompressobj()
    try:
        for kind, body, _ in _chunks(data):
            if kind == b"IDAT":
                for start in range(0, len(body), _INFLATED_AT_ONCE):
                    if missing <= 0:
                        return
                    missing -= len(inflating.decompress(body[start : start + _INFLATED_AT_ONCE]))
        missing -= len(inflating.flush())
    except zlib.error as error:
        raise OSError("the pixels can't be inflated") from error
    if missing > 0:
        raise OSError(f"{missing} bytes of pixels are missing")


def _length_of_pixels(header: bytes) -> int:
    """Return how many bytes the pixels of a PNG with that IHDR have before they are deflated."""
    width, height, depth, colour_type = struct.unpack(">IIBB", header[:10])
    bits = depth * _CHANNELS.get(colour_type, 1)
    passes = _INTERLACED if header[12] else ((0, 0, 1, 1),)
    length = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            length += rows * (1 + -(-columns * bits // 8))  # a row begins with its filter
    return length


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield each chunk's kind, content and all of it; last, without a kind, what is no whole chunk.

    An ancillary chunk that is cut short is passed over: the pixels may be whole all the same.
    """
    view = memoryview(data)
    place = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        kind = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        is_one = len(kind) == 4 and kind.isalpha() and kind.isascii()
        if end > len(data) or not is_one:
            if not is_one or not kind[0] & _ANCILLARY:
                yield b"", view[:0], view[place:]
            return
        body = view[place + 8 : end - 4]
        if not kind[0] & _ANCILLARY and zlib.crc32(body, zlib.crc32(kind)) != _number(view[end - 4 : end]):
            raise OSError(f"the checksum of a {kind.decode()} chunk is wrong")
        yield kind, body, view[place:end]
        if kind == b"IEND":
            return
        place = end
    raise OSError("there are too many chunks")


def _is_usable(kind: bytes, body: bytes, colour_type: int | None) -> bool:
    if kind == b"tRNS":
        return len(body) in _TRANSPARENCY_LENGTHS.get(colour_type or 0, ())
    return kind == b"iCCP" and _has_profile(body)


def _has_profile(body: bytes) -> bool:
    """Tell whether a chunk holds a whole profile of a length that is kept: a name, 0, a method, then zlib."""
    _, _, compressed = body.partition(b"\0")
    inflating = zlib.decompressobj()
    try:
        inflating.decompress(compressed[1:], LARGEST_PROFILE)
    except zlib.error:
        return False
    return compressed[:1] == b"\0" and inflating.eof


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _number(view: memoryview) -> int:
    return int.from_bytes(view, "big")
