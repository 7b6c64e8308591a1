"""Pictures in a local folder, or one mounted by several machines."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from flask_detector.atomic_files import write_whole
from flask_detector.errors import StorageUnavailable
from flask_detector.storage.base import ORIGINAL, check_key, is_id

_PIECE = 1 << 20


class FolderStorage:
    """Pictures in a local folder: ``<folder>/<first two digits>/<id>/<name>``.

    sync: whether `put` flushes to disk, so that a power cut loses nothing.
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._folder = folder
        self._sync = sync

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Store all bytes of a stream under an id and a name."""
        target = self._path(id, name)
        with _reporting("written"):
            self._make()
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                pieces = iter(lambda: source.read(_PIECE), b"")
                # Up to the one that contains the folder of all pictures, which may be new, too.
                folders = target.parents[:4] if self._sync else ()
                write_whole(target, pieces, mode=0o600, sync_folders=folders)
            except BaseException:
                with suppress(OSError):  # it is not empty
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
        """Yield the ids whose folder was last modified longer ago than that."""
        limit = time.time() - seconds
        with _reporting("listed"):
            for entry in self._folder.glob("??/*"):
                try:
                    if is_id(entry.name) and entry.stat().st_mtime < limit:
                        yield entry.name
                except FileNotFoundError:  # deleted by another process
                    continue

    def check(self) -> None:
        """Check that bytes can be written and read."""
        with _reporting("written"):
            self._make()
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(b"probe")
                file.flush()

    def _make(self) -> None:
        """Create the folder for this user only: ids give access to detections, so they are secret."""
        self._folder.mkdir(0o700, parents=True, exist_ok=True)

    def _path(self, id: str, name: str) -> Path:
        check_key(id, name)
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
