"""What a storage is, and the keys that bytes are kept under.

Everything under one id is deleted together.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, Protocol

ORIGINAL = "original"

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


class Storage(Protocol):
    """Where pictures are kept. Every method raises StorageUnavailable when the place can't be used."""

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Keep all bytes of a stream under an id and a name; they are there whole or not at all."""

    def get(self, id: str, name: str) -> bytes:
        """Return the bytes, or raise FileNotFoundError."""

    def delete(self, id: str) -> None:
        """Delete everything under an id; it may be nothing."""

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the ids whose newest bytes came longer ago than that."""

    def check(self) -> None:
        """Return if bytes can be written and read here."""


def is_id(id: str) -> bool:
    """Tell whether it has the form of a detection's id."""
    return _ID.fullmatch(id) is not None


def check_key(id: str, name: str) -> str:
    """Return ``<id>/<name>``; raise FileNotFoundError where these can't be what something is kept under."""
    if not is_id(id) or not _NAME.fullmatch(name):
        raise FileNotFoundError(f"there is nothing called {name!r} under {id!r}")
    return f"{id}/{name}"
