"""Reading and writing the files of collections in a storage; `documents` has their layout."""

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from flask_detector.collections import documents
from flask_detector.collections.documents import ANNOTATIONS, FOLDER, PICTURES, THUMBNAILS, Collection
from flask_detector.errors import StorageUnavailable, UnknownPicture
from flask_detector.storage.base import Storage, StoredFile


class Files:
    """The files of all collections. Every method raises StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def ids(self) -> set[str]:
        """Return the ids of what may be collections."""
        return {name for name in self._storage.folders(FOLDER) if documents.is_id(name)}

    def read_collection(self, id: str) -> Collection | None:
        """Return what a collection.json says; None where there is none, or one that says nothing of use."""
        try:
            return Collection.from_bytes(self._storage.read(_path(id, "collection.json")), id)
        except (FileNotFoundError, ValueError):
            return None

    def write_collection(self, collection: Collection) -> None:
        """Write a collection.json."""
        self._storage.write(_path(collection.id, "collection.json"), io.BytesIO(collection.to_bytes()))

    def remove_collection(self, id: str) -> None:
        """Delete all files of a collection, also others' that lie there; the one that describes it last."""
        for folder in (PICTURES, THUMBNAILS, ANNOTATIONS):
            self._storage.remove_folder(_path(id, folder))
        self._storage.remove_folder(_path(id))

    def of_pictures(self, id: str) -> dict[str, tuple[StoredFile, StoredFile]]:
        """Return the two files, picture and annotations, of each picture that has both."""
        pictures = {
            found: file
            for file in self._storage.files(_path(id, PICTURES))
            if (found := documents.id_in_picture_name(file.name))
        }
        return {
            found: (pictures[found], file)
            for file in self._storage.files(_path(id, ANNOTATIONS))
            if (found := documents.id_in_annotations_name(file.name)) in pictures
        }

    def read_annotations(self, id: str, picture: str) -> dict[str, Any]:
        """Return a picture's annotations file; raises UnknownPicture where there is none that can be read."""
        if not documents.is_id(picture):
            raise unknown_picture()
        try:
            return documents.parsed(self._storage.read(_path(id, ANNOTATIONS, f"{picture}.json")))
        except (FileNotFoundError, ValueError) as error:
            raise unknown_picture() from error

    def write_annotations(self, id: str, picture: str, document: Mapping[str, Any]) -> StoredFile:
        """Write a picture's annotations file."""
        data = documents.dumped(document)
        return self._storage.write(_path(id, ANNOTATIONS, f"{picture}.json"), io.BytesIO(data))

    def read_picture(self, id: str, name: str) -> bytes:
        """Return a picture as it was sent; raises UnknownPicture."""
        try:
            return self._storage.read(_path(id, PICTURES, name))
        except FileNotFoundError as error:
            raise unknown_picture() from error

    def write_picture(self, id: str, name: str, picture: bytes) -> StoredFile:
        """Write a picture."""
        return self._storage.write(_path(id, PICTURES, name), io.BytesIO(picture))

    def remove_picture(self, id: str, name: str) -> None:
        """Delete a picture without its annotations."""
        self._storage.remove(_path(id, PICTURES, name))

    def remove(self, id: str, picture: str, name: str) -> None:
        """Delete the files of a picture that is called so.

        The large one goes first: what is cut off here leaves annotations that nobody is shown.
        """
        self.remove_picture(id, name)
        self._storage.remove(_path(id, ANNOTATIONS, f"{picture}.json"))
        self._storage.remove(_path(id, THUMBNAILS, f"{picture}.jpg"))

    def thumbnail(self, id: str, picture: str, make: Callable[[], bytes]) -> bytes:
        """Return a picture's small copy, which is made once."""
        path = _path(id, THUMBNAILS, f"{picture}.jpg")
        try:
            return self._storage.read(path)
        except FileNotFoundError:
            data = make()
            with suppress(StorageUnavailable):  # it can be shown all the same when the disk is full
                self._storage.write(path, io.BytesIO(data))
            return data


def unknown_picture() -> UnknownPicture:
    """Return the error for a picture that is not in a collection."""
    return UnknownPicture("There is no such picture in this collection.")


def _path(*parts: str) -> str:
    return "/".join([FOLDER, *parts])
