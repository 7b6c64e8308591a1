"""Comparing the index with the files: it is made again where it is lost, and corrected where it is wrong."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

from flask_detector.collections.documents import Collection, Details, Entry
from flask_detector.collections.files import Files
from flask_detector.collections.index import Index
from flask_detector.errors import DetectorError
from flask_detector.storage.base import StoredFile

log = logging.getLogger(__name__)

UNDO_SECONDS = 12
"""How long the deletion of pictures can be undone, after which their files go."""

# Of each picture its file and its annotations'.
FilesOfPictures = Mapping[str, tuple[StoredFile, StoredFile]]

# Files are read so many at a time; an index entry is written for so many at once.
_READERS = 16
_AT_ONCE = 500


class Comparison:
    """Sees to it that the index says what the files say.

    What Redis has lost is read at once, by whoever asks for it first. Else files are compared in a thread of
    its own: nobody waits for the listing of ten thousand.
    """

    def __init__(self, files: Files, index: Index) -> None:
        self._files = files
        self._index = index
        self._later = _Background()

    def ensure_list(self) -> None:
        """Have the list of collections complete, and compared of late."""
        ((is_complete, is_due),) = self._index.freshness()
        if not is_complete:
            self.compare_list()
            # Until then they would take no room.
            for id in self._index.collections():
                self._later.do(partial(self.ensure, [id]))
        elif is_due:
            self._later.do(self.compare_list)

    def ensure(self, ids: Sequence[str]) -> None:
        """Have the entries of collections complete, and compared of late."""
        for id, (is_complete, is_due) in zip(ids, self._index.freshness(ids), strict=True):
            if not is_complete:
                self.compare(id, again=False)
            elif is_due:
                self._later.do(partial(self.compare, id))

    def compare_list(self) -> None:
        """Compare the list of collections with the folders; finish deletions that were cut off."""
        with self._index.locked():
            known, there = self._index.collections(), self._files.ids()
            for id in there - known.keys():
                self._take_in(id)
            for id in known.keys() - there:
                self._index.forget_collection(id)
            self._index.mark_compared()
        for one in self._index.collections().values():
            if one.is_deleted:
                self.remove(one.id)

    def remove(self, id: str) -> None:
        """Delete the files of a collection that is to be deleted."""
        with self._index.locked(id):
            self._files.remove_collection(id)
            self._index.forget_collection(id)

    def compare(self, id: str, *, again: bool = True) -> None:
        """Compare a collection's entries with its files, and read those that differ.

        again: also where somebody else has just done so.
        """
        with self._index.locked(id) as keep, ThreadPoolExecutor(_READERS) as readers:
            if not again and self._index.freshness([id])[0].is_complete:
                return
            self._take_in(id)
            collection = self._index.collection(id)
            if collection is None:
                return
            files = self._carried_out(collection, self._files.of_pictures(id))
            known = {entry.id for entry in self._index.entries(id)}
            details = self._index.details(id, list(known))

            def read(picture: str) -> tuple[Entry, Details] | None:
                kept, written = files[picture]
                try:
                    document = self._files.read_annotations(id, picture)
                    size = kept.size + written.size
                    return Entry.of(picture, document, size), Details.of(document, kept, written)
                except (DetectorError, ValueError):  # not a file of ours, or gone meanwhile
                    return None

            def is_stale(picture: str) -> bool:
                stamps = tuple(file.stamp for file in files[picture])
                return picture not in details or details[picture].stamps != stamps

            stale = [picture for picture in files if is_stale(picture)]
            gone = known - files.keys()
            for start in range(0, len(stale), _AT_ONCE):
                some = stale[start : start + _AT_ONCE]
                found = dict(zip(some, readers.map(read, some), strict=True))
                self._index.set_entries(collection, [pair for pair in found.values() if pair is not None])
                gone |= {picture for picture, pair in found.items() if pair is None} & known
                keep()
            self._index.set_entries(collection, [], gone=gone)
            self._index.mark_compared(id)

    def compare_later(self, id: str, seconds: float) -> None:
        """Compare a collection in so many seconds, if this process lives that long."""
        timer = threading.Timer(seconds, self._later.do, [partial(self.compare, id)])
        timer.daemon = True
        timer.start()

    def _carried_out(self, collection: Collection, files: FilesOfPictures) -> FilesOfPictures:
        """Delete the files of pictures whose deletion can't be undone any more; return those to be shown."""
        now = time.time()
        due = {token: one for token, one in collection.deletions.items() if one.at + UNDO_SECONDS <= now}
        for picture in (picture for one in due.values() for picture in one.pictures if picture in files):
            self._files.remove(collection.id, picture, files[picture][0].name)
        if due:
            left = {token: one for token, one in collection.deletions.items() if token not in due}
            changed = replace(collection, deletions=left)
            self._files.write_collection(changed)
            self._index.set_collection(changed)
        hidden = collection.deleted()
        return {picture: both for picture, both in files.items() if picture not in hidden}

    def _take_in(self, id: str) -> None:
        collection = self._files.read_collection(id)
        if collection is None:
            self._index.forget_collection(id)
        else:
            self._index.set_collection(collection)


class _Background:
    """Does one thing after the other in a thread that ends with the process."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Do something when its turn comes; that it can't be done now is logged."""
        self._waiting.put(work)
        with self._starting:  # when it is first needed: a thread does not survive a fork
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="collections", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            work = self._waiting.get()
            try:
                work()
            except DetectorError as error:
                log.warning("collections could not be compared with their files: %s", error)
            except Exception:
                log.exception("collections could not be compared with their files")
