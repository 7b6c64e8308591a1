"""A GIF file reduced to what its first picture needs, so that nothing before it can be in a reader's way.

Programs write extensions there of any label, comments and data of their own, also ones without a single
block, as the grammar allows. Source: GIF89a, sections 15 to 27 and appendix B.
"""

from typing import Final

_SCREEN_BYTES: Final = 13
_PACKED: Final = 10  # where the screen tells whether there are colours, and how many
_EXTENSION: Final = b"!"
_GRAPHIC_CONTROL: Final = b"\xf9"  # tells which colour is transparent
_CONTROL_BYTES: Final = 4
_END: Final = b"\0"
# So many blocks hold up to 25 MB; to look at them takes a tenth of a second.
_MOST_BLOCKS: Final = 100_000


def only_needed(data: bytes) -> bytes:
    """Return a GIF file without the extensions before its first picture, but for a usable graphic control.

    Raises OSError where they have too many blocks.
    """
    start = _SCREEN_BYTES
    if len(data) > _PACKED and data[_PACKED] & 0x80:
        start += 3 * (2 << (data[_PACKED] & 7))
    place, control = start, b""
    blocks_left = _MOST_BLOCKS
    while data[place : place + 1] == _EXTENSION:
        label, first = data[place + 1 : place + 2], place + 2
        place = first
        while blocks_left >= 0 and data[place : place + 1] not in {_END, b""}:
            place += 1 + data[place]
            blocks_left -= 1
        place += 1
        blocks_left -= 1
        if blocks_left < 0:
            raise OSError("there are too many blocks")
        if label == _GRAPHIC_CONTROL and data[first : first + 1] >= bytes([_CONTROL_BYTES]):
            block = data[first + 1 : first + 1 + _CONTROL_BYTES]
            control = _EXTENSION + label + bytes([_CONTROL_BYTES]) + block + _END
    return data[:start] + control + data[place:]
