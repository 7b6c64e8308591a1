"""The pictures of collections: add, list, correct and remove them.

A picture is written before its annotations, so that whatever is cut off leaves what was there before. A
change of one picture writes one file.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

from flask_detector.collections import deletions, documents
from flask_detector.collections.documents import Details, Entry
from flask_detector.collections.files import unknown_picture
from flask_detector.collections.store import Collections, now
from flask_detector.errors import ChangedMeanwhile, CollectionError, CollectionFull, UnknownPicture
from flask_detector.storage.base import StoredFile
from flask_detector.structures.annotation import Annotation, AnnotationError
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.revisions import ANY, Revision, version_of
from flask_detector.structures.splits import Split

MOST_PICTURES = 50_000
"""In one collection."""

# Annotations files are read and written so many at a time, and so many while nobody else can change any.
_WRITERS = 16
_UNDER_ONE_LOCK = 200

# What the index is to know of a picture.
Written = tuple[Entry, Details]

Added = Literal["added", "replaced", "there"]
"""What became of a picture: it is "there" where it is in the collection and was changed there since."""


class Pictures:
    """The pictures of all collections.

    Every method raises what those of `Collections` raise, and UnknownPicture if it takes a picture's id.
    """

    def __init__(self, collections: Collections) -> None:
        self.collections = collections
        self._files = collections.files
        self._index = collections.index

    def entries(self, id: str) -> Sequence[Entry]:
        """Return a collection's pictures, in the order in which they were added."""
        self._ensure(id)
        return self._index.entries(id)

    def entry(self, id: str, picture: str) -> Entry:
        """Return what is known of one picture."""
        self._ensure(id)
        entry = self._index.entry(id, picture)
        if entry is None:
            raise unknown_picture()
        return entry

    def some(self, ids: Sequence[str], number: int) -> dict[str, list[str]]:
        """Return the ids of some pictures of each collection, the same ones as long as nothing changes."""
        return dict(zip(ids, self._index.some(ids, number), strict=True))

    def details(self, id: str, entries: Iterable[Entry]) -> dict[str, Details]:
        """Return what is known of some pictures besides, by their ids."""
        return self._index.details(id, [entry.id for entry in entries])

    def add(
        self,
        id: str,
        picture: bytes,
        annotations: Annotations,
        *,
        file_name: str,
        said: Sequence[Annotation] = (),
        model: str | None = None,
        split: Split | None = None,
        classes: Sequence[str] = (),
    ) -> tuple[str, Added]:
        """Take a picture in with its objects; return its id and what became of it. Raises CollectionFull.

        The same picture of the same name is one picture, also when it is added again: what a person has
        changed in the collection since then stays.

        said: the objects as the model said, where the annotations are a correction of them.
        classes: those that the collection is to have before the ones that only objects name.
        """
        document = _document(annotations, said) | {"split": split, "file_name": file_name, "model": model}
        return self._put(id, picture, document, classes)

    def copy(self, id: str, picture: str, into: str) -> tuple[str, Added]:
        """Take a picture in from another collection, with all that is known of it; return what `add` does.

        Raises what `add` raises.
        """
        document = self.document(id, picture) | {"added_at": now()}
        return self._put(into, self.picture(id, picture), document)

    def _put(
        self, id: str, picture: bytes, document: dict[str, Any], classes: Sequence[str] = ()
    ) -> tuple[str, Added]:
        owner = self.collections.find(id).owner
        self.collections.comparison.ensure([id])
        pid = documents.picture_id(document["file_name"], picture)
        name = documents.picture_name(pid, picture)
        size = len(picture) + len(documents.dumped(document))
        with self._index.locked(id):
            before = self._index.entry(id, pid)
            if before is not None and before.changed_at is not None:
                return pid, "there"
            if before is None and self._index.sums([id])[0].pictures >= MOST_PICTURES:
                raise CollectionFull(f"A collection may have {MOST_PICTURES:,} pictures.")
            self.collections.check_room(owner, size - (0 if before is None else before.size))
            if before is not None:
                document |= {"added_at": before.added_at, "split": document["split"] or before.split}
            kept = self._files.write_picture(id, name, picture)
            try:
                written = self._written(id, pid, document, kept)
            except BaseException:
                if before is None:
                    self._files.remove_picture(id, name)
                raise
            self._take_in(id, [written], classes)
        return pid, "added" if before is None else "replaced"

    def document(self, id: str, picture: str) -> dict[str, Any]:
        """Return a picture's annotations file."""
        self.entry(id, picture)
        return self._files.read_annotations(id, picture)

    def annotations(self, id: str, picture: str) -> tuple[Annotations, Revision]:
        """Return a picture's annotations, and which version they are. Raises CollectionError."""
        document = self.document(id, picture)
        return readable(document), revision_of(document)

    def correct(
        self, id: str, picture: str, annotations: Annotations, *, replaces: Collection[str], by: str
    ) -> tuple[dict[str, Any], Revision]:
        """Write a picture's annotations; return them as they are kept, with their version.

        replaces: the versions of which one is thought to be there, or ANY among them.
        by: who changes it, in words.

        Raises AnnotationError for objects that are said to be the model's and are not, ChangedMeanwhile where
        another version is there, and CollectionFull.
        """
        with self._index.locked(id):
            document = self.document(id, picture)
            before = len(documents.dumped(document))
            corrected = annotations.agreeing_with(documents.known_in(document))
            corrected = replace(corrected, labels=_labels_of(corrected.objects))
            form, found = corrected.to_json(), revision_of(document)
            if version_of(form) != found.version:
                if not {ANY, found.version}.intersection(replaces):
                    raise ChangedMeanwhile(found.version, found.changed_at, found.changed_by)
                state = documents.state_of(corrected, is_changed=True)
                document |= {**form, "state": state, "changed_at": now(), "changed_by": by}
                more = len(documents.dumped(document)) - before
                if more > 0:
                    self.collections.check_room(self.collections.find(id).owner, more)
            # A write that is sent again may be one whose way to the index was cut off.
            self._take_in(id, [self._written(id, picture, document, self._kept(id, [picture])[picture])])
        return form, revision_of(document)

    def picture(self, id: str, picture: str) -> bytes:
        """Return a picture as it was sent."""
        return self._files.read_picture(id, self._file(id, picture))

    def path(self, id: str, picture: str) -> str:
        """Return the path in the storage of a picture as it was sent."""
        return documents.path_of_picture(id, self._file(id, picture))

    def paths(self, id: str, entries: Iterable[Entry]) -> list[str]:
        """Return the paths in the storage of pictures as they were sent, of those that there still are."""
        return [documents.path_of_picture(id, its.file) for its in self.details(id, entries).values()]

    def thumbnail(self, id: str, picture: str, make: Callable[[bytes], bytes]) -> bytes:
        """Return a picture's small copy, which is made once."""
        file = self._file(id, picture)
        return self._files.thumbnail(id, picture, lambda: make(self._files.read_picture(id, file)))

    def remove(self, id: str, pictures: Sequence[str]) -> None:
        """Delete pictures; one that is gone already is no matter."""
        self._ensure(id)
        with self._index.locked(id) as keep:
            collection = self.collections.find(id)
            for picture, its in self._index.details(id, pictures).items():
                self._files.remove(id, picture, its.file)
                self._index.set_entries(collection, [], gone=[picture])
                keep()

    def change(self, id: str, pictures: Sequence[str], change: Callable[[dict[str, Any]], None]) -> None:
        """Let a function change the annotations files of pictures; those that are gone are passed over."""
        with ThreadPoolExecutor(_WRITERS) as writers:
            for start in range(0, len(pictures), _UNDER_ONE_LOCK):
                with self._index.locked(id):
                    self._change(id, pictures[start : start + _UNDER_ONE_LOCK], change, writers)

    def _change(
        self,
        id: str,
        pictures: Sequence[str],
        change: Callable[[dict[str, Any]], None],
        writers: ThreadPoolExecutor,
    ) -> None:
        def write(picture: str, kept: StoredFile) -> Written | None:
            try:
                document = self._files.read_annotations(id, picture)
            except UnknownPicture:  # deleted by hand
                return None
            change(document)
            return self._written(id, picture, document, kept)

        kept = self._kept(id, pictures)
        self._take_in(id, [one for one in writers.map(write, kept, kept.values()) if one is not None])

    def _kept(self, id: str, pictures: Sequence[str]) -> dict[str, StoredFile]:
        """Return the files of those pictures that are in the collection, by their ids."""
        details = self._index.details(id, pictures)
        return {
            picture: StoredFile(its.file, its.picture_size, its.stamps[0]) for picture, its in details.items()
        }

    def _written(self, id: str, picture: str, document: dict[str, Any], kept: StoredFile) -> Written:
        """Write an annotations file; return what the index is to know of it."""
        written = self._files.write_annotations(id, picture, document)
        return Entry.of(picture, document, kept.size + written.size), Details.of(document, kept, written)

    def _take_in(self, id: str, written: Iterable[Written], classes: Iterable[str] = ()) -> None:
        """Take what was written into the index, and new classes into the collection; the lock is held."""
        written = list(written)
        labels = dict.fromkeys([*classes, *(label for entry, _ in written for label in entry.counts)])

        def change(one: documents.Collection) -> documents.Collection:
            known = replace(one, classes=tuple(dict.fromkeys([*one.classes, *labels])))
            return deletions.without(known, {entry.id for entry, _ in written})

        collection = self.collections.change_locked(id, change)
        self._index.set_entries(collection, written)

    def _file(self, id: str, picture: str) -> str:
        """Return what a picture's file is called."""
        self._ensure(id)
        its = self._index.details(id, [picture]).get(picture)
        if its is None:
            raise unknown_picture()
        return its.file

    def _ensure(self, id: str) -> None:
        self.collections.find(id)
        self.collections.comparison.ensure([id])


def readable(document: Mapping[str, Any]) -> Annotations:
    """Return the annotations in a picture's file; raises CollectionError where a person has broken them."""
    try:
        return Annotations.from_json(documents.annotations_in(document))
    except (AnnotationError, KeyError) as error:
        raise CollectionError(f"The annotations of this picture were changed by hand: {error}") from error


def revision_of(document: Mapping[str, Any]) -> Revision:
    """Return which version of its annotations a picture's file has."""
    version = version_of(documents.annotations_in(document))
    return Revision(version, document["changed_at"], document["changed_by"])


def _document(annotations: Annotations, said: Sequence[Annotation]) -> dict[str, Any]:
    """Return the annotations file of a picture that is new, without what belongs to the picture alone."""
    used = replace(annotations, labels=_labels_of(annotations.objects))
    of_model = tuple(said or (one for one in annotations.objects if one.source == "model"))
    return used.to_json() | {
        "state": documents.state_of(used, is_changed=False),
        "added_at": now(),
        "changed_at": None,
        "changed_by": None,
        "said": replace(used, objects=of_model, labels=_labels_of(of_model)).to_json()["objects"],
    }


def _labels_of(objects: Iterable[Annotation]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.label for one in objects))
