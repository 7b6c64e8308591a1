"""Which pictures a command line means: files, folders, patterns and standard input."""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from flask_detector.errors import DetectorError
from flask_detector.imaging import sniff

STDIN = "-"


class Unreadable(DetectorError):
    """There is no file, or it can't be read."""

    code = "unreadable"


# Names that promise a picture; whether it is one is seen when it is read.
_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "heic", "heif", "hif"),
        *("gif", "bmp", "dib", "tif", "tiff"),
    )
)


@dataclass(frozen=True)
class Found:
    """A picture to detect in.

    path: where it is; None for standard input.
    place: its path within the folder that was given, else its name; where results go is named by it.
    """

    path: Path | None
    place: PurePath

    def __str__(self) -> str:
        return "standard input" if self.path is None else printable(str(self.path))


@dataclass(frozen=True)
class Missed:
    """What was asked for and can't be had."""

    asked: str
    error: DetectorError


def find(arguments: Sequence[str], *, leave_out: Path | None = None) -> tuple[list[Found], list[Missed]]:
    """Return the pictures in the order of the arguments, each once, and what there was not.

    arguments: files, folders, patterns such as ``photos/*.jpg`` or ``**/*.png`` for shells that leave them as
    they are, and "-" for standard input. Folders are searched with all below; a file in them is a picture if
    its name or its content says so. Names that begin with a dot are passed over.
    leave_out: a folder whose content is not searched: where results go.
    """
    found: list[Found] = []
    missed: list[Missed] = []
    seen: set[str] = set()
    for argument in arguments:
        try:
            several = list(_meant(argument, leave_out, missed))
        except DetectorError as error:
            missed.append(Missed(argument, error))
            continue
        for one in several:
            identity = STDIN if one.path is None else os.path.realpath(one.path)
            if identity not in seen:
                seen.add(identity)
                found.append(one)
    return found, missed


def printable(text: str) -> str:
    """Return a text that does nothing but show itself on a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _meant(argument: str, leave_out: Path | None, missed: list[Missed]) -> Iterator[Found]:
    if argument == STDIN:
        yield Found(None, PurePath("stdin"))
        return
    path = Path(argument)
    if path.is_dir():
        yield from _within(path, leave_out, missed)
    elif os.path.lexists(path):
        yield Found(path, PurePath(path.name))
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise Unreadable("Nothing matches this pattern.")
        for match in matches:
            # A folder that a recursive pattern gives is searched by the pattern itself.
            if not Path(match).is_dir():
                yield Found(Path(match), PurePath(Path(match).name))
            elif "**" not in argument:
                yield from _within(Path(match), leave_out, missed)
    else:
        raise Unreadable("There is no such file or folder.")


def _within(folder: Path, leave_out: Path | None, missed: list[Missed]) -> Iterator[Found]:
    def unreadable(error: OSError) -> None:
        missed.append(Missed(str(error.filename), Unreadable(f"The folder can't be read: {error.strerror}.")))

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
                yield Found(path, path.relative_to(folder))


def _may_be_picture(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        if path.suffix.lower() in _SUFFIXES:
            return True
        with path.open("rb") as file:
            return sniff.format_of(file.read(256)) is not None
    except OSError:
        # One with a picture's name that can't be read is told when its turn comes.
        return path.suffix.lower() in _SUFFIXES
