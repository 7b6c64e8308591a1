"""The output folder of `detect`: a file per picture, and a journal for resuming."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from flask_detector.atomic_files import write_whole
from flask_detector.cli.inputs import Input
from flask_detector.formats.file_names import safe_name

JOURNAL = ".flask-detector.jsonl"
DRAWN = "drawn"


@dataclass(frozen=True)
class _Entry:
    """One line of the journal: a finished file, and what it was made from.

    kind: "drawn" or the name of a format.
    picture, size, modified: the picture's path, bytes, and modification time in nanoseconds.
    options: everything else that affects the file.
    file: its path within the folder.
    """

    kind: str
    picture: str
    size: int
    modified: int
    options: str
    file: str


class OutputFolder:
    """A folder with one file per picture, and a journal of finished ones.

    kind: "drawn" or the name of a format.
    suffix: of the files; None for annotated pictures, which keep theirs.
    options: everything that affects the files; a file made with other options is not finished.

    Raises OSError if the folder can't be created.
    """

    def __init__(self, folder: Path, *, kind: str, suffix: str | None, options: Mapping[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._kind, self._suffix = kind, suffix
        self._options = json.dumps(options, sort_keys=True)
        self._entries = {(entry.kind, entry.picture): entry for entry in _read(folder / JOURNAL)}
        self._taken = {entry.file.casefold() for entry in self._entries.values()}

    def without_own(self, pictures: Sequence[Input]) -> list[Input]:
        """Return the pictures without those that were written here: they are not processed again."""
        own = {os.path.realpath(self.folder / entry.file) for entry in self._entries.values()}
        return [one for one in pictures if one.path is None or os.path.realpath(one.path) not in own]

    def is_done(self, picture: Input) -> bool:
        """Return whether the picture's file exists, made from the same picture with the same options."""
        known = self._known(picture)
        if known is None or not (self.folder / known.file).exists():
            return False
        return _entry(picture, self._kind, self._options, known.file) == known

    def write(self, picture: Input, data: bytes, *, suffix: str | None = None) -> Path:
        """Write a picture's file atomically, then add it to the journal; return its path.

        suffix: of the file, if not the folder's.

        An existing file that was not made from the same picture is kept: the new name gets a number.
        Raises OSError.
        """
        before = _entry(picture, self._kind, self._options, "")
        file = self._name_for(picture, suffix)
        target = self.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
        if before is not None:
            entry = asdict(before) | {"file": file.as_posix()}
            with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(entry) + "\n")
            self._entries[before.kind, before.picture] = _Entry(**entry)
        return target

    def _known(self, picture: Input) -> _Entry | None:
        return None if picture.path is None else self._entries.get((self._kind, str(picture.path.absolute())))

    def _name_for(self, picture: Input, suffix: str | None) -> PurePath:
        place = picture.relative_path.with_name(safe_name(picture.relative_path.name))
        ending = suffix or self._suffix or place.suffix
        wanted = place.with_name(f"{'detected_' if self._kind == DRAWN else ''}{place.stem}{ending}")
        known = self._known(picture)
        if known is not None and known.file.endswith(ending):
            return PurePath(known.file)
        stem, number = wanted.name.removesuffix(ending), 1
        while wanted.as_posix().casefold() in self._taken or os.path.lexists(self.folder / wanted):
            number += 1
            wanted = wanted.with_name(f"{stem}-{number}{ending}")
        self._taken.add(wanted.as_posix().casefold())
        return wanted


def _entry(picture: Input, kind: str, options: str, file: str) -> _Entry | None:
    """Return the journal entry for a picture; None for standard input or a missing file."""
    if picture.path is None:
        return None
    try:
        status = picture.path.stat()
    except OSError:
        return None
    return _Entry(kind, str(picture.path.absolute()), status.st_size, status.st_mtime_ns, options, file)


def _read(journal: Path) -> list[_Entry]:
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entry = _Entry(**json.loads(line))
        except (ValueError, TypeError):
            continue  # an interrupted run did not finish this line
        if not PurePath(entry.file).is_absolute() and ".." not in PurePath(entry.file).parts:
            entries.append(entry)
    return entries
