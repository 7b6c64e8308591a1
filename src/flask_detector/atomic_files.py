"""Files that appear complete or not at all."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o666, sync_folders: Iterable[Path] = ()
) -> None:
    """Write a file under a temporary name next to it, then rename it: readers never see a part of it.

    mode: the file's permissions, before the umask.
    sync_folders: the folders whose names, together with the file's bytes, are to survive a power cut.

    Raises OSError, and then leaves nothing behind.
    """
    temporary = written = path.with_name(f".{path.name[-200:]}.{secrets.token_hex(4)}.part")
    folders = list(sync_folders)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            if folders:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        written = path
        for folder in folders:
            sync(folder)
    except BaseException:
        with suppress(OSError):
            written.unlink()
        raise


def sync(path: Path) -> None:
    """Flush the bytes of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
