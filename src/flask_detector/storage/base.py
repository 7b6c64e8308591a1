"""The interface of a storage: pictures of detections under their ids, and files under paths.

Everything under one id is deleted together. Files under paths stay until they are removed: no path begins as
the keys of detections do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

ORIGINAL = "original"

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_PATH = re.compile(r"[a-z]{3,20}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})*")


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder.

    stamp: a text that is another one whenever the file is written again.
    """

    name: str
    size: int
    stamp: str


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

    def write(self, path: str, source: BinaryIO) -> StoredFile:
        """Store all bytes of a file, completely or not at all, in place of what is there under the path."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes, or raise FileNotFoundError."""

    def remove(self, path: str) -> None:
        """Delete a file, if there is one."""

    def remove_folder(self, path: str) -> None:
        """Delete everything under a path, if there is anything."""

    def files(self, path: str) -> list[StoredFile]:
        """Return the files that lie directly under a path, also foreign ones; none where nothing is."""

    def folders(self, path: str) -> list[str]:
        """Return the names of what has files under it, directly under a path."""

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


def check_path(path: str) -> str:
    """Return the path; raises FileNotFoundError if nothing can be stored under it."""
    if not _PATH.fullmatch(path):
        raise FileNotFoundError(f"there is nothing under {path!r}")
    return path
