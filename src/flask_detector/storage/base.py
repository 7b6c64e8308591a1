"""The interface of a storage, and its keys. Everything under one id is deleted together."""

import re
from collections.abc import Iterator
from typing import BinaryIO, Protocol

ORIGINAL = "original"

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


class Storage(Protocol):
    """Stores pictures. Every method raises StorageUnavailable if it can't."""

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Store all bytes of a stream under an id and a name, completely or not at all."""

    def get(self, id: str, name: str) -> bytes:
        """Return the bytes, or raise FileNotFoundError."""

    def delete(self, id: str) -> None:
        """Delete everything under an id, if there is anything."""

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the ids whose newest bytes are older than that."""

    def check(self) -> None:
        """Check that bytes can be written and read."""


def is_id(id: str) -> bool:
    """Return whether it looks like a detection's id."""
    return _ID.fullmatch(id) is not None


def check_key(id: str, name: str) -> str:
    """Return ``<id>/<name>``; raises FileNotFoundError if nothing can be stored under these."""
    if not is_id(id) or not _NAME.fullmatch(name):
        raise FileNotFoundError(f"there is nothing called {name!r} under {id!r}")
    return f"{id}/{name}"
