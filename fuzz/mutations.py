"""What is done to good files, as strategies of Hypothesis: a failure shrinks to the change that matters."""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

# Numbers that sizes, counts and offsets break at.
_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

# Most of what decides how a file is read stands at its start; formats with a directory have it at the end.
_HEAD = 1024

_PNG = b"\x89PNG\r\n\x1a\n"

Change = tuple[str, int, int]


def places() -> st.SearchStrategy[int]:
    """Return places in a file, to be taken modulo its length; many are near its start or its end."""
    return st.one_of(st.integers(0, _HEAD), st.integers(0, 2**24), st.integers(-_HEAD, -1))


def changes() -> st.SearchStrategy[list[Change]]:
    """Return lists of changes: what, where, and a number that it needs."""
    change = st.tuples(
        st.sampled_from(sorted(_KINDS)), places(), st.one_of(st.integers(0, 255), st.sampled_from(_EDGES))
    )
    return st.lists(change, min_size=1, max_size=6)


def changed(data: bytes, wanted: list[Change]) -> bytes:
    """Return a copy of a file with the changes made one after another."""
    result = bytearray(data)
    for kind, place, number in wanted:
        _KINDS[kind](result, place % max(len(result), 1), number)
    return bytes(result)


def with_checksums(data: bytes) -> bytes:
    """Return a PNG whose checksums are made right again, so that a change comes further than to them."""
    if not data.startswith(_PNG):
        return data
    result, place = bytearray(data), len(_PNG)
    while place + 12 <= len(result):
        end = place + 8 + int.from_bytes(result[place : place + 4], "big")
        if end + 4 > len(result):
            break
        result[end : end + 4] = struct.pack(">I", zlib.crc32(result[place + 4 : end]))
        place = end + 4
    return bytes(result)


def changed_json(data: bytes, wanted: list[Change]) -> bytes:
    """Return a JSON text with values of its tree replaced, dropped or repeated."""
    tree: list[Any] = [json.loads(data)]
    for _, place, number in wanted:
        spots = list(_spots(tree))
        container, key = spots[place % len(spots)]
        if number % 4 == 0:
            del container[key]
        elif number % 4 == 1 and isinstance(container, list):
            container[key:key] = [deepcopy(container[key]) for _ in range(number % 7)]
        else:
            container[key] = deepcopy(_ODD[number % len(_ODD)])
        if not tree:
            break
    return json.dumps(tree[0] if tree else None).encode()


def _spots(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a tree as its container and key."""
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    for key in keys:
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _spots(container[key])


def _set_byte(data: bytearray, place: int, number: int) -> None:
    data[place : place + 1] = bytes([number & 0xFF])


def _flip_bit(data: bytearray, place: int, number: int) -> None:
    if data:
        data[place] ^= 1 << (number % 8)


def _cut(data: bytearray, place: int, number: int) -> None:
    del data[place:]


def _remove(data: bytearray, place: int, number: int) -> None:
    del data[place : place + 1 + number % 64]


def _insert(data: bytearray, place: int, number: int) -> None:
    data[place:place] = bytes([number & 0xFF]) * (1 + number % 64)


def _repeat(data: bytearray, place: int, number: int) -> None:
    data[place:place] = data[place : place + 1 + number % 256]


def _move(data: bytearray, place: int, number: int) -> None:
    taken = data[place : place + 16]
    del data[place : place + 16]
    data[number % max(len(data), 1) : 0] = taken


def _write(form: str) -> Callable[[bytearray, int, int], None]:
    size = struct.calcsize(form)

    def write(data: bytearray, place: int, number: int) -> None:
        data[place : place + size] = struct.pack(form, number & ((1 << 8 * size) - 1))

    return write


_ODD: tuple[Any, ...] = (
    *(None, True, "", "x", "\ud800", [], {}, [[]], 0, -1, 1, 2, 0.5, 1.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), 2**31, 2**32 + 1, 2**53, 2**63, 2**64, 10**400, -(2**63)),
    *("PPYo", "0" * 5000, "o" * 40, [2**31, 2**31], [2**32, 2**32], [2**63, 2**63], [1] * 3000, "_" * 7),
)

_KINDS: dict[str, Callable[[bytearray, int, int], None]] = {
    "set a byte": _set_byte,
    "flip a bit": _flip_bit,
    "cut": _cut,
    "remove": _remove,
    "insert": _insert,
    "repeat": _repeat,
    "move": _move,
    "write 16 bits": _write("<H"),
    "write 16 bits, big": _write(">H"),
    "write 32 bits": _write("<I"),
    "write 32 bits, big": _write(">I"),
    "write 64 bits": _write("<Q"),
}
