"""An AVIF made of tiles, so that the encoder holds one at a time: whole, 24 megapixels take it 700 MB.

Each tile is a file that Pillow wrote; what they hold becomes the parts of one picture. Sources: ISO/IEC
14496-12 (boxes), ISO/IEC 23008-12, 6.6.2.3 (grid), and AV1 Image File Format, 2 and 4.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_GRID_ID: Final = 1
_HIDDEN: Final = 1
# Readers take no more than 1000 items (libheif), of 256 rows and columns.
_MOST_TILES: Final = 900
_MOST_ACROSS: Final = 256


class _Tile(NamedTuple):
    """What a file holds: two boxes as they are, the properties, those used, and its picture."""

    kind: bytes
    handler: bytes
    properties: bytes
    used: bytes
    picture: bytes


def fits(width: int, height: int, side: int) -> bool:
    """Tell whether a picture of that size may be made of square tiles of that side.

    Its sides must be even, as there is one colour for two by two pixels (ISO/IEC 23000-22, 7.3.11.4.2).
    """
    columns, rows = -(-width // side), -(-height // side)
    is_even = width % 2 == height % 2 == side % 2 == 0
    return is_even and max(columns, rows) <= _MOST_ACROSS and 1 < columns * rows <= _MOST_TILES


def joined(files: Sequence[bytes], width: int, height: int, side: int, icc_profile: bytes | None) -> bytes:
    """Return one file for those of the tiles, which go across first and reach over the far edges.

    Raises ValueError where they are not what is expected of an encoder.
    """
    tiles = [_read(file) for file in files]
    first = tiles[0]
    if any(tile[:-1] != first[:-1] for tile in tiles):
        raise ValueError("the tiles differ in their properties")
    columns, rows = -(-width // side), -(-height // side)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    pictures = [grid, *(tile.picture for tile in tiles)]
    head_length = len(_head(first, pictures, 0, (width, height), icc_profile))
    return b"".join([_head(first, pictures, head_length, (width, height), icc_profile), *pictures])


def _head(
    tile: _Tile, pictures: list[bytes], start: int, size: tuple[int, int], icc_profile: bytes | None
) -> bytes:
    """Return everything before the pictures, the first of which lies at `start`."""
    ids = range(_GRID_ID, _GRID_ID + len(pictures))
    places, place = [], start
    for id, picture in zip(ids, pictures, strict=True):
        places.append(struct.pack(">HHHII", id, 0, 1, place, len(picture)))
        place += len(picture)
    names = [
        _box(
            b"infe",
            struct.pack(">BxH", 2, 0 if id == _GRID_ID else _HIDDEN) + struct.pack(">HH", id, 0) + kind,
        )
        for id, kind in zip(ids, [b"grid\0", *[b"av01\0"] * (len(pictures) - 1)], strict=True)
    ]
    properties = tile.properties + _box(b"ispe", struct.pack(">4xII", *size))
    if icc_profile is not None:
        properties += _box(b"colr", b"prof" + icc_profile)
    kinds = [kind for kind, _ in _boxes(properties)]
    # The grid is as its tiles are, but for its size and what only a decoder needs.
    own = [number for number, kind in enumerate(kinds, 1) if kind in {b"pixi", b"colr"}]
    own.append(len(kinds) - kinds[::-1].index(b"ispe"))
    uses = [struct.pack(">HB", _GRID_ID, len(own)) + bytes(own)]
    uses += [struct.pack(">H", id) + tile.used for id in ids[1:]]
    links = struct.pack(f">{len(pictures) + 1}H", _GRID_ID, len(pictures) - 1, *ids[1:])
    meta = [
        tile.handler,
        _box(b"pitm", struct.pack(">4xH", _GRID_ID)),
        _box(b"iloc", struct.pack(">4xBBH", 0x44, 0, len(pictures)) + b"".join(places)),
        _box(b"iinf", struct.pack(">4xH", len(pictures)) + b"".join(names)),
        _box(b"iref", bytes(4) + _box(b"dimg", links)),
        _box(
            b"iprp",
            _box(b"ipco", properties) + _box(b"ipma", struct.pack(">4xI", len(uses)) + b"".join(uses)),
        ),
    ]
    length = 8 + sum(map(len, pictures))
    return tile.kind + _box(b"meta", bytes(4) + b"".join(meta)) + struct.pack(">I4s", length, b"mdat")


def _read(file: bytes) -> _Tile:
    """Return what a file of one picture without transparency holds."""
    try:
        outer = dict(_boxes(file))
        meta = dict(_boxes(outer[b"meta"], 4))
        properties = dict(_boxes(meta[b"iprp"]))
        version, sizes, count, _, _, extents, place, length = struct.unpack(">B3xHHHHHII", meta[b"iloc"])
        used = properties[b"ipma"]
        if (version, sizes, count, extents) != (0, 0x4400, 1, 1) or used[:8] != struct.pack(">II", 0, 1):
            raise ValueError("the tile is of another kind")
    except (KeyError, struct.error) as error:
        raise ValueError("the tile is of another kind") from error
    return _Tile(
        _box(b"ftyp", outer[b"ftyp"]),
        _box(b"hdlr", meta[b"hdlr"]),
        properties[b"ipco"],
        used[10:],
        file[place : place + length],
    )


def _boxes(data: bytes, place: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each box."""
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            raise ValueError("the tile's boxes are of another kind")
        yield kind, data[place + 8 : place + length]
        place += length


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
