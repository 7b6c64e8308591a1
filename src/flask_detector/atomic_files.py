"""Files that appear complete or not at all."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o666, sync_to_disk: bool = False
) -> None:
    """Write a file under a temporary name next to it, then rename it: readers never see a part of it.

    mode: the file's permissions, before the umask.
    sync_to_disk: whether its bytes and its name survive a power cut once this returns.

    Raises OSError, and then leaves nothing behind.
    """
    temporary = path.with_name(f".{path.name[-200:]}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            if sync_to_disk:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if sync_to_disk:
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush the bytes of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
