"""Names for files in a data set: safe on every system, and no two alike.

A user's file name may hold anything. Within an archive it must be no path, nothing that Windows refuses, and
different from every other one also where upper and lower case are the same and suffixes don't count.
"""

import re
import unicodedata
from pathlib import PurePosixPath

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028\u2029\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
# 255 bytes are the limit of most file systems; a number and another suffix must find room.
_LONGEST = 200


def safe_name(filename: str) -> str:
    """Return the file name without what can't be part of one; "picture" where nothing is left."""
    last = re.split(r"[/\\]", filename)[-1]
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    path = PurePosixPath(name or "picture")
    stem, suffix = path.stem, path.suffix[:20]
    while len((stem + suffix).encode()) > _LONGEST:
        stem = stem[:-1]
    name = stem + suffix
    return f"_{name}" if _RESERVED.fullmatch(name) else name


class UniqueNames:
    """Gives each picture a safe name whose stem no other one has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, filename: str) -> str:
        """Return the name for a picture: its own, or with a number before the suffix."""
        path = PurePosixPath(safe_name(filename))
        stem, number = path.stem, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{path.stem}-{number}"
        self._taken.add(stem.casefold())
        return stem + path.suffix
