"""Files that are there whole or not at all."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file under another name and then give it its own: nobody ever sees half of it.

    Raises OSError, and then leaves nothing behind.
    """
    unfinished = path.with_name(f".{path.name[-200:]}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
