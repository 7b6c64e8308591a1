"""Pictures in a local folder, or one mounted by several machines."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from flask_detector.atomic_files import write_whole
from flask_detector.errors import StorageUnavailable
from flask_detector.storage.base import ORIGINAL, StoredFile, check_key, check_path, is_id

_PIECE = 1 << 20


class FolderStorage:
    """Pictures in a local folder: ``<folder>/<first two digits>/<id>/<name>``; other files by their paths.

    sync: whether `put` flushes to disk, so that a power cut loses nothing.
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._folder = folder
        self._sync = sync

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Store all bytes of a stream under an id and a name."""
        self._write(self._path(id, name), source)

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
        """Yield the ids whose folder was last modified longer ago than that."""
        limit = time.time() - seconds
        with _reporting("listed"):
            for entry in self._folder.glob("??/*"):
                try:
                    if is_id(entry.name) and entry.stat().st_mtime < limit:
                        yield entry.name
                except FileNotFoundError:  # deleted by another process
                    continue

    def write(self, path: str, source: BinaryIO) -> StoredFile:
        """Store all bytes of a stream as a file."""
        target = self._folder / check_path(path)
        self._write(target, source)
        with _reporting("written"):
            return _stored(target.name, target.stat())

    def read(self, path: str) -> bytes:
        """Return a file's bytes, or raise FileNotFoundError."""
        with _reporting("read"):
            return (self._folder / check_path(path)).read_bytes()

    def remove(self, path: str) -> None:
        """Delete a file, if there is one."""
        with _reporting("deleted"):
            (self._folder / check_path(path)).unlink(missing_ok=True)

    def remove_folder(self, path: str) -> None:
        """Delete everything under a path."""
        with _reporting("deleted"), suppress(FileNotFoundError):
            shutil.rmtree(self._folder / check_path(path))

    def files(self, path: str) -> list[StoredFile]:
        """Return the files that lie directly under a path."""
        with _reporting("listed"):
            return [_stored(entry.name, entry.stat()) for entry in self._entries(path) if entry.is_file()]

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders directly under a path."""
        with _reporting("listed"):
            return [entry.name for entry in self._entries(path) if entry.is_dir()]

    def check(self) -> None:
        """Check that bytes can be written and read."""
        with _reporting("written"):
            self._make()
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(b"probe")
                file.flush()

    def _write(self, target: Path, source: BinaryIO) -> None:
        with _reporting("written"):
            self._make_folder(target.parent)
            try:
                pieces = iter(lambda: source.read(_PIECE), b"")
                # Up to the one that contains the folder of all pictures, which may be new, too.
                up = len(target.relative_to(self._folder).parts) + 1
                write_whole(
                    target, pieces, mode=0o600, sync_folders=target.parents[:up] if self._sync else ()
                )
            except BaseException:
                with suppress(OSError):  # it is not empty
                    target.parent.rmdir()
                raise

    def _entries(self, path: str) -> Iterator[os.DirEntry[str]]:
        """Yield what is directly in a folder; nothing where it does not exist, or is a file."""
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self._folder / check_path(path)) as found,
        ):
            yield from found

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        except FileNotFoundError:  # the first picture with these two digits
            self._make()
            folder.mkdir(parents=True, exist_ok=True)

    def _make(self) -> None:
        """Create the folder for this user only: ids give access to detections, so they are secret."""
        self._folder.mkdir(0o700, parents=True, exist_ok=True)

    def _path(self, id: str, name: str) -> Path:
        check_key(id, name)
        return self._folder / id[:2] / id / name


def _stored(name: str, facts: os.stat_result) -> StoredFile:
    return StoredFile(name, facts.st_size, f"{facts.st_mtime_ns}-{facts.st_size}")


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
