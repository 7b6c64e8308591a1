"""The files of a data set: a folder or a ZIP, read where they lie. Nothing is unpacked to the disk.

Who packs a ZIP decides what it says of itself, so it is bounded before it is read: by the length of its list
of files, by what each file unpacks to, and by all of them together.
"""

import os
import re
import stat
import unicodedata
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, cast

from flask_detector.datasets.remarks import Remarks, Unusable
from flask_detector.errors import DatasetError, DatasetTooLarge, UnknownDataset
from flask_detector.formats.file_names import OTHER_SUFFIXES, SUFFIXES

MOST_FILES: Final = 300_000
# Of the list at a ZIP's end; 300,000 files with names of 150 bytes.
_LONGEST_DIRECTORY: Final = 64_000_000
# Of all files: pictures hardly shrink, labels by 20 times.
_MOST_UNPACKED: Final = 100_000_000_000
_MOST_TIMES: Final = 100
_SMALL: Final = 1_000_000_000
_MOST_PLACES: Final = 64  # where one name is looked for

_PICTURES: Final = OTHER_SUFFIXES.union(*SUFFIXES.values())
# What systems put beside a user's files.
_JUNK: Final = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,  # of a name within the ZIP
)


class _Place(Protocol):
    """A folder or a ZIP. `sizes`: in bytes, by path; `open` raises what _DAMAGE has."""

    sizes: dict[str, int]

    def open(self, path: str) -> IO[bytes]: ...

    def close(self) -> None: ...


class Files:
    """The files of a data set by their paths, which have slashes on every system.

    remarks: takes what is not read, with the reason.

    Raises UnknownDataset where the path is neither a folder nor a ZIP, DatasetTooLarge or DatasetError.
    """

    def __init__(self, path: Path, remarks: Remarks) -> None:
        self._place: _Place = _Folder(path, remarks) if path.is_dir() else _Zip(path, remarks)
        self.paths = sorted(self._place.sizes)
        self.pictures = [path for path in self.paths if PurePosixPath(path).suffix.lower() in _PICTURES]
        self._by_name = _Index(self.pictures)
        self._by_stem = _Index([str(PurePosixPath(path).with_suffix("")) for path in self.pictures])

    def close(self) -> None:
        """Let go of the ZIP."""
        self._place.close()

    def ending(self, *suffixes: str) -> list[str]:
        """Return the paths that end so, whatever their case."""
        return [path for path in self.paths if path.lower().endswith(suffixes)]

    @contextmanager
    def open(self, path: str, most: int) -> Iterator[IO[bytes]]:
        """Give a file that has at most so many bytes; raises Unusable, also where reading it goes wrong."""
        if (size := self._place.sizes[path]) > most:
            raise Unusable(f"has {size / 1e6:,.0f} MB; {most / 1e6:,g} is the most")
        try:
            with self._place.open(path) as file:
                yield file
        except _DAMAGE as error:
            raise Unusable(f"can't be read: {_reason(error)}") from error

    def read(self, path: str, most: int) -> bytes:
        """Return a file's bytes; raises what `open` does."""
        with self.open(path, most) as file:
            return file.read()

    def find(self, name: str, *, near: str) -> str | None:
        """Return the path of the picture that a label file calls so; None where there is none, or several.

        Folders that its writer had and the data set has not, or the other way round, make no difference as
        long as one picture alone is meant.

        near: the path of the label file.
        """
        at = self._by_name.find(name, near)
        return None if at is None else self.pictures[at]

    def find_stem(self, path: str) -> str | None:
        """Return the path of the picture that is called so but for its suffix."""
        at = self._by_stem.find(path, path)
        return None if at is None else self.pictures[at]


class _Index:
    """Finds paths by how they end: they are kept sorted from their last part to their first."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._numbers = {path: number for number, path in reversed(list(enumerate(paths)))}
        self._entries = sorted((_backwards(_parts(path)), number) for number, path in enumerate(paths))

    def find(self, name: str, near: str) -> int | None:
        """Return the number of the path that a name in a file means, if that is clear."""
        beside = os.path.normpath(str(PurePosixPath(near).parent / name.replace("\\", "/")))
        for exact in (name, beside):
            if exact in self._numbers:
                return self._numbers[exact]
        parts = [part for part in _parts(name) if part not in {".", ".."}]
        for length in range(len(parts), 0, -1):
            if found := self._ending(parts[-length:]):
                return self._nearest(found, near)
        return None

    def _ending(self, parts: list[str]) -> list[int]:
        wanted = _backwards(parts)
        start = bisect_left(self._entries, (wanted, -1))
        found = []
        for key, number in self._entries[start : start + _MOST_PLACES]:
            if not key.startswith(wanted):
                break
            found.append(number)
        return found

    def _nearest(self, found: list[int], near: str) -> int | None:
        """Return the one that has most folders in common with a path; None where several have."""
        shared = [_common(_parts(self._paths[number]), _parts(near)) for number in found]
        best = max(shared)
        return found[shared.index(best)] if shared.count(best) == 1 else None


class _Folder:
    """A folder. Links are left out: they may lead anywhere."""

    def __init__(self, root: Path, remarks: Remarks) -> None:
        self._root = root
        self.sizes: dict[str, int] = {}
        folders = [""]
        try:
            while folders:
                folder = folders.pop()
                with os.scandir(root / folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if _is_junk(entry.name):
                        continue
                    if entry.is_symlink():
                        remarks.left_out(path, "is a symbolic link")
                    elif entry.is_dir():
                        folders.append(f"{path}/")
                    elif entry.is_file():
                        self.sizes[path] = entry.stat().st_size
                        _check_number(len(self.sizes))
        except OSError as error:
            raise DatasetError(f"{root} can't be read: {_reason(error)}.") from error

    def open(self, path: str) -> IO[bytes]:
        return (self._root / path).open("rb")

    def close(self) -> None:
        pass


class _Zip:
    """A ZIP. Paths that lead out of it, links and what is encrypted are left out."""

    def __init__(self, path: Path, remarks: Remarks) -> None:
        self._entries: dict[str, zipfile.ZipInfo] = {}
        with ExitStack() as on_failure:
            try:
                self._file = on_failure.enter_context(path.open("rb"))
                if not zipfile.is_zipfile(self._file):
                    raise UnknownDataset(f"{path.name} is neither a folder nor a ZIP.")
                self._zip = zipfile.ZipFile(cast(IO[bytes], _BoundedReads(self._file)))
            except _DAMAGE as error:
                raise DatasetError(f"{path.name} can't be read: {_reason(error)}.") from error
            _check_number(len(self._zip.infolist()))
            for entry in self._zip.infolist():
                self._take(entry, remarks)
            self.sizes = {path: entry.file_size for path, entry in self._entries.items()}
            most = min(_MOST_UNPACKED, _SMALL + _MOST_TIMES * path.stat().st_size)
            if sum(self.sizes.values()) > most:
                raise DatasetTooLarge(f"{path.name} unpacks to more than {most / 1e9:.1f} GB.")
            on_failure.pop_all()

    def _take(self, entry: zipfile.ZipInfo, remarks: Remarks) -> None:
        name = _readable(entry).replace("\\", "/")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        path = "/".join(parts)
        leads_out = name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", path)
        if not parts or name.endswith("/") or (any(map(_is_junk, parts)) and not leads_out):
            return
        if leads_out:
            remarks.left_out(name, "is a path that leads out of the ZIP")
        elif stat.S_ISLNK(entry.external_attr >> 16):
            remarks.left_out(path, "is a symbolic link")
        elif entry.flag_bits & 1:
            remarks.left_out(path, "is encrypted")
        elif path in self._entries:
            remarks.left_out(path, "is in the ZIP twice; the first one is read")
        else:
            self._entries[path] = entry

    def open(self, path: str) -> IO[bytes]:
        return self._zip.open(self._entries[path])

    def close(self) -> None:
        self._file.close()


class _BoundedReads:
    """A file of which no more is read at once than a ZIP's list of files may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1, /) -> bytes:
        if size > _LONGEST_DIRECTORY:
            raise DatasetTooLarge(f"The ZIP has more than {MOST_FILES:,} files.")
        return self._file.read(size)


def _check_number(number: int) -> None:
    if number > MOST_FILES:
        raise DatasetTooLarge(f"The data set has more than {MOST_FILES:,} files.")


def _is_junk(name: str) -> bool:
    return name in _JUNK or name.startswith(".")


def _readable(entry: zipfile.ZipInfo) -> str:
    """Return a file's name. Where the ZIP doesn't say that it is UTF-8 it is cp437, or UTF-8 all the same."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode()
    except UnicodeError:
        return entry.filename


def _parts(path: str) -> list[str]:
    """Return a path's parts in a form in which Unicode's ways to write a letter and its case are alike."""
    return [part for part in re.split(r"[/\\]", unicodedata.normalize("NFC", path).casefold()) if part]


def _common(one: list[str], other: list[str]) -> int:
    """Return how many parts two paths have in common from their start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _backwards(parts: list[str]) -> str:
    return "".join(f"{part}/" for part in reversed(parts))


def _reason(error: Exception) -> str:
    """Return in a few words why a file can't be read."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, NotImplementedError):
        return "it is compressed in a way that is not supported (deflate is)"
    return "it is damaged"
