"""The pictures that arguments refer to: files, folders, patterns and standard input."""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from flask_detector.errors import DetectorError
from flask_detector.formats.file_names import OTHER_SUFFIXES, SUFFIXES
from flask_detector.imaging import sniff

STDIN = "-"


class Unreadable(DetectorError):
    """The file does not exist, or can't be read."""


# Names of pictures; their content is checked when they are read.
_SUFFIXES = OTHER_SUFFIXES.union(*SUFFIXES.values())


@dataclass(frozen=True)
class Input:
    """A picture to process.

    path: where it is; None for standard input.
    relative_path: within the folder that was given, else the file name; results are named after it.
    """

    path: Path | None
    relative_path: PurePath

    def __str__(self) -> str:
        return "standard input" if self.path is None else printable(str(self.path))


@dataclass(frozen=True)
class MissingInput:
    """An argument without a picture, and the reason."""

    argument: str
    error: DetectorError


def find_inputs(
    arguments: Sequence[str], *, leave_out: Path | None = None
) -> tuple[list[Input], list[MissingInput]]:
    """Return the pictures in the order of the arguments, each once, and the arguments without one.

    arguments: files, folders, patterns such as ``photos/*.jpg`` or ``**/*.png`` that the shell did not
    expand, and "-" for standard input. Folders are searched recursively; a file in them is a picture
    if its name or its content says so. Names that start with a dot are skipped.
    leave_out: a folder that is not searched: that of the results.
    """
    found: list[Input] = []
    missed: list[MissingInput] = []
    seen: set[str] = set()
    for argument in arguments:
        try:
            several = list(_meant(argument, leave_out, missed))
        except DetectorError as error:
            missed.append(MissingInput(argument, error))
            continue
        for one in several:
            identity = STDIN if one.path is None else os.path.realpath(one.path)
            if identity not in seen:
                seen.add(identity)
                found.append(one)
    return found, missed


def printable(text: str) -> str:
    """Return a text without control characters for the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _meant(argument: str, leave_out: Path | None, missed: list[MissingInput]) -> Iterator[Input]:
    if argument == STDIN:
        yield Input(None, PurePath("stdin"))
        return
    path = Path(argument)
    if path.is_dir():
        yield from _within(path, leave_out, missed)
    elif os.path.lexists(path):
        yield Input(path, PurePath(path.name))
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise Unreadable("Nothing matches this pattern.")
        for match in matches:
            # Folders that match a recursive pattern are searched by the pattern itself.
            if not Path(match).is_dir():
                yield Input(Path(match), PurePath(Path(match).name))
            elif "**" not in argument:
                yield from _within(Path(match), leave_out, missed)
    else:
        raise Unreadable("There is no such file or folder.")


def _within(folder: Path, leave_out: Path | None, missed: list[MissingInput]) -> Iterator[Input]:
    def unreadable(error: OSError) -> None:
        missed.append(
            MissingInput(str(error.filename), Unreadable(f"The folder can't be read: {error.strerror}."))
        )

    excluded = None if leave_out is None else os.path.realpath(leave_out)
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != excluded
        )
        for name in sorted(names):
            path = Path(place) / name
            if not name.startswith(".") and _may_be_picture(path):
                yield Input(path, path.relative_to(folder))


def _may_be_picture(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        if path.suffix.lower() in _SUFFIXES:
            return True
        with path.open("rb") as file:
            return sniff.format_of(file.read(256)) is not None
    except OSError:
        # An unreadable file with the name of a picture is reported when it is processed.
        return path.suffix.lower() in _SUFFIXES
