"""Bytes kept under a detection's id: the uploaded picture and what is made of it.

Everything under one id is deleted together.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from flask_detector.errors import SettingsError, StorageUnavailable
from flask_detector.settings import Settings
from flask_detector.url_paths import path_in_url

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


class FolderStorage:
    """Pictures in a local folder: ``<folder>/<first two digits>/<id>/<name>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Keep all bytes of a stream under an id and a name."""
        target = self._path(id, name)
        with _reporting("written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write(target, source)
            except BaseException:
                with suppress(OSError):  # there is more in it
                    target.parent.rmdir()
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

    def check(self) -> None:
        """Return if bytes can be written and read here."""
        with _reporting("written"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(b"probe")
                file.flush()

    def _path(self, id: str, name: str) -> Path:
        check_key(id, name)
        return self._folder / id[:2] / id / name


def _write(target: Path, source: BinaryIO) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
        try:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def is_id(id: str) -> bool:
    """Tell whether it has the form of a detection's id."""
    return _ID.fullmatch(id) is not None


def check_key(id: str, name: str) -> str:
    """Return ``<id>/<name>``; raise FileNotFoundError where these can't be what something is kept under."""
    if not is_id(id) or not _NAME.fullmatch(name):
        raise FileNotFoundError(f"there is nothing called {name!r} under {id!r}")
    return f"{id}/{name}"


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
    """Return the storage of an installation.

    Raises SettingsError where DETECTOR_STORAGE_URL can't be used.
    """
    if settings.storage_url is None:
        return FolderStorage(settings.data_dir / "pictures")
    url = settings.storage_url.get_secret_value()
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from flask_detector.storage.s3 import BucketStorage

        return BucketStorage(url, settings.storage_ca)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return FolderStorage(path_in_url(url[len("file://") :]))
    raise SettingsError(
        "DETECTOR_STORAGE_URL can't be used.",
        hint="Write it as s3://bucket/prefix, or as file:///folder for a folder that all machines mount.",
    )
