"""Several pictures as one ZIP: a data set of a format, with the pictures where its tools expect them."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from flask_detector.formats import FORMATS
from flask_detector.formats.dataset_zip import Item, pieces

__all__ = ["Item", "stream", "write", "write_to"]


def write(name: str, items: Iterable[Item]) -> bytes:
    """Return the data set of the format of that name as a ZIP.

    items: for each picture its file name, its Detections, and its bytes, or an open file of them, or None.
    The pictures go into the ZIP as they are, where the format expects them beside the annotations. Names are
    made safe and unique; without their suffixes too.

    Raises KeyError when there is no such format.
    """
    return b"".join(stream(name, items))


def write_to(file: BinaryIO, name: str, items: Iterable[Item]) -> None:
    """Write what `write` returns to a file, which need not be seekable, one picture at a time."""
    for piece in stream(name, items):
        file.write(piece)


def stream(name: str, items: Iterable[Item], others: Iterable[tuple[str, bytes]] = ()) -> Iterator[bytes]:
    """Return what `write` returns in pieces, made when asked for: one picture at a time lies in memory.

    others: files (path, bytes) to go with it, asked for when all items have been taken.
    """
    return pieces(FORMATS[name].dataset(), items, others)
