"""The pictures of a collection as what is taught from."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from flask_detector.atomic_files import write_whole
from flask_detector.collections.documents import State
from flask_detector.collections.pictures import Pictures, readable
from flask_detector.datasets import ImportedPicture, Remark
from flask_detector.errors import CollectionError
from flask_detector.formats.file_names import UniqueNames


class CollectionData:
    """A collection as it is while this is iterated.

    names: a file that tells afterwards by which name each picture was taken.
    """

    def __init__(self, pictures: Pictures, collection: str, names: Path) -> None:
        self._pictures, self._collection, self._file = pictures, collection, names
        self._names: dict[str, str] = {}
        self.left_out: list[Remark] = []
        self.changed: list[Remark] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        write_whole(self._file, json.dumps(self._names).encode())

    def __iter__(self) -> Iterator[ImportedPicture]:
        names = UniqueNames()
        for entry in self._pictures.entries(self._collection):
            name = names.take(entry.file_name)
            self._names[name] = entry.id
            try:
                annotations = readable(self._pictures.document(self._collection, entry.id))
                data = self._pictures.picture(self._collection, entry.id)
            except CollectionError as error:  # changed or deleted by hand, or deleted meanwhile
                self.left_out.append(Remark(name, f"is left out: {error.message}"))
                continue
            is_whole = entry.state is State.VERIFIED
            yield ImportedPicture(name, name, data, replace(annotations, verified=is_whole), entry.split)
