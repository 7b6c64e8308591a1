"""A ZIP that is a data set: annotation files and, where the format expects them, the pictures beside them.

The ZIP is made piece by piece: of the pictures one lies in memory at a time, and what grows with their number
goes to a temporary file.
"""

import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO, Protocol

from flask_detector.formats.file_names import UniqueNames, safe_name, with_suffix_of
from flask_detector.imaging.sniff import HEAD_BYTES
from flask_detector.structures.detections import Detections

# A picture's file name, what was found in it, the file's bytes where the pictures go along, and where there
# are parts the one that it belongs to: "train", "val" or "test".
Item = (
    tuple[str, Detections, bytes | BinaryIO | None]
    | tuple[str, Detections, bytes | BinaryIO | None, str | None]
)
# From the result and the picture's file name to a file's bytes.
Write = Callable[[Detections, str], bytes]

_IN_MEMORY = 4_000_000


class Dataset(Protocol):
    """How the files of one data set come about, picture by picture.

    pictures: the folder for the pictures, such as "images/", or None where they don't belong to the format.
    """

    pictures: str | None

    def folder(self, split: str | None) -> str | None:
        """Return the folder for the pictures of a part; that of all where the format has no such folders."""
        return self.pictures

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; return the files (path, bytes) that are about this one alone.

        name: the picture's file name within the data set; without its suffix it is unique too.
        split: the part that it belongs to, for formats that have some; each has one, or none has.
        """

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the files (path, pieces) that are about all pictures."""


class PerPicture(Dataset):
    """A data set with one annotation file for each picture and nothing else.

    folder: where the files lie, such as "Annotations/".
    """

    def __init__(self, write: Write, suffix: str, *, folder: str = "", pictures: str | None = None) -> None:
        self.pictures = pictures
        self._write, self._suffix, self._folder = write, suffix, folder

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Return the picture's annotation file."""
        return [(f"{self._folder}{stem_of(name)}{self._suffix}", self._write(found, name))]

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return nothing more."""
        return []


class Spool:
    """Text that grows with each picture, on disk once it is large.

    between: what stands between the texts.
    """

    def __init__(self, between: str = "") -> None:
        self._between = between
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # it outlives this
        # A data set that is given up half-way has nobody who closes it.
        weakref.finalize(self, self._file.close)

    def write(self, text: str) -> None:
        """Add text."""
        self._file.write(f"{self._between if self._file.tell() else ''}{text}".encode())

    def pieces(self) -> Iterator[bytes]:
        """Yield all text, and let go of it."""
        with self._file as file:
            file.seek(0)
            while piece := file.read(1 << 18):
                yield piece


def zip_of_one(make: Callable[[], Dataset]) -> Write:
    """Return what writes the data set of one picture, without the picture itself, as a ZIP."""
    return lambda found, filename: b"".join(pieces(make(), [(filename, found, None)]))


def file_of_one(make: Callable[[], Dataset]) -> Write:
    """Return what writes a data set of one picture whose annotations are one file, as that file alone."""

    def write(found: Detections, filename: str) -> bytes:
        dataset = make()
        dataset.add(found, filename)
        ((_, content),) = dataset.finish()
        return b"".join(content)

    return write


def pieces(
    dataset: Dataset, items: Iterable[Item], others: Iterable[tuple[str, bytes]] = ()
) -> Iterator[bytes]:
    """Yield the ZIP of a data set in pieces, none of them empty.

    others: files (path, bytes) that come last; they are asked for when all items have been taken.
    """
    outlet = Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for _ in _filled(archive, dataset, items, others):
            if data := outlet.taken():
                yield data
    yield outlet.taken()


def _filled(
    archive: zipfile.ZipFile,
    dataset: Dataset,
    items: Iterable[Item],
    others: Iterable[tuple[str, bytes]],
) -> Iterator[None]:
    """Write all files, with a pause after each picture and each piece of what is about all of them."""
    names = UniqueNames()
    for filename, found, picture, *rest in items:
        split = rest[0] if rest else None
        folder = dataset.folder(split)
        if picture is None or folder is None:
            name = names.take(filename)
        else:
            head = picture[:HEAD_BYTES] if isinstance(picture, bytes) else picture.read(HEAD_BYTES)
            name = names.take(with_suffix_of(safe_name(filename), head))
            _store(archive, f"{folder}{name}", head, picture)
        for path, data in dataset.add(found, name, split):
            archive.writestr(_entry(path, zipfile.ZIP_DEFLATED), data)
        yield
    for path, content in dataset.finish():
        with archive.open(_entry(path, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as file:
            for piece in content:
                file.write(piece)
                yield
    for path, data in others:
        archive.writestr(_entry(path, zipfile.ZIP_DEFLATED), data)


def stem_of(name: str) -> str:
    """Return a file name without its last suffix."""
    return name.rpartition(".")[0] or name


def _store(archive: zipfile.ZipFile, path: str, head: bytes, picture: bytes | BinaryIO) -> None:
    """Write a picture as it is, which is compressed already; of an open file the head has been read."""
    entry = _entry(path, zipfile.ZIP_STORED)
    if isinstance(picture, bytes):
        archive.writestr(entry, picture)
        return
    with archive.open(entry, "w", force_zip64=True) as file:
        file.write(head)
        shutil.copyfileobj(picture, file, 1 << 18)


def _entry(path: str, compression: int) -> zipfile.ZipInfo:
    """Return an entry without the time of day: the same results make the same bytes."""
    entry = zipfile.ZipInfo(path)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    return entry


class Outlet:
    """The end of a file that can't be sought in; what was written is taken away from it."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: all is taken in the end."""

    def close(self) -> None:
        """Do nothing."""

    def taken(self) -> bytes:
        """Return what was written since this was asked for last."""
        data = b"".join(self._written)
        self._written.clear()
        return data
