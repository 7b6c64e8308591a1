"""Bytes kept under a detection's id: the uploaded picture and what is made of it.

Everything under one id is deleted together.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from flask_detector.errors import StorageUnavailable
from flask_detector.settings import Settings

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
        """Yield the ids whose first bytes came longer ago than that."""


class FolderStorage:
    """Pictures in a local folder: ``<folder>/<first two digits>/<id>/<name>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Keep all bytes of a stream under an id and a name."""
        target = self._path(id, name)
        with _reporting("written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
                try:
                    shutil.copyfileobj(source, file, 1 << 20)
                    file.flush()
                    os.replace(file.name, target)
                except BaseException:
                    os.unlink(file.name)
                    raise

    def get(self, id: str, name: str) -> bytes:
        """Return the bytes, or raise FileNotFoundError."""
        with _reporting("read"):
            return self._path(id, name).read_bytes()

    def delete(self, id: str) -> None:
        """Delete everything under an id."""
        with _reporting("deleted"):
            try:
                shutil.rmtree(self._path(id, ORIGINAL).parent)
            except FileNotFoundError:
                return

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the ids whose folder was made or last added to longer ago than that."""
        limit = time.time() - seconds
        with _reporting("listed"):
            for entry in self._folder.glob("??/*"):
                try:
                    if _ID.fullmatch(entry.name) and entry.stat().st_mtime < limit:
                        yield entry.name
                except FileNotFoundError:  # another process deleted it meanwhile
                    continue

    def _path(self, id: str, name: str) -> Path:
        if not _ID.fullmatch(id) or not _NAME.fullmatch(name):
            raise FileNotFoundError(f"there is nothing called {name!r} under {id!r}")
        return self._folder / id[:2] / id / name


@contextmanager
def _reporting(done: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageUnavailable(
            f"A picture could not be {done}: {error.strerror}.",
            hint="Check that the data folder is writable and its disk is not full.",
        ) from error


def open_storage(settings: Settings) -> Storage:
    """Return the storage of an installation."""
    return FolderStorage(settings.data_dir / "pictures")
