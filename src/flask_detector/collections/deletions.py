"""Deleting pictures of a collection so that it can be undone for a while.

Which these are is written to collection.json alone: nobody is shown them from then on, and their files go
with the first comparison after that while. So neither a restart nor a lost Redis leaves something half done.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from flask_detector.collections.comparison import UNDO_SECONDS
from flask_detector.collections.documents import Collection, Deletion
from flask_detector.collections.store import Collections

# A click in the last moment still arrives in time.
_GRACE_SECONDS = 2


class Deletions:
    """Deletions in all collections. Every method raises what those of `Collections` raise."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def later(self, id: str, pictures: Sequence[str]) -> None:
        """Hide pictures at once and delete them in a while; one that is gone already is no matter."""
        self._collections.comparison.ensure([id])
        index = self._collections.index
        with index.locked(id):
            names = {one.id: one.file_name for one in index.entries(id)}
            there = tuple(picture for picture in dict.fromkeys(pictures) if picture in names)
            if there:
                deletion = Deletion(time.time(), names[there[0]], there)
                token = secrets.token_urlsafe(12)
                collection = self._collections.change_locked(
                    id, lambda one: replace(one, deletions={**one.deletions, token: deletion})
                )
                index.set_entries(collection, [], gone=there)
        self._collections.comparison.compare_later(id, UNDO_SECONDS)

    def undo(self, id: str, token: str) -> bool:
        """Show pictures again; false where it is too late."""
        is_known = False

        def change(one: Collection) -> Collection:
            nonlocal is_known
            deletion = one.deletions.get(token)
            is_known = deletion is not None and time.time() < deletion.at + UNDO_SECONDS
            if not is_known:
                return one
            return replace(one, deletions={key: its for key, its in one.deletions.items() if key != token})

        self._collections.change(id, change)
        if is_known:
            self._collections.comparison.compare(id)
        return is_known


def recent(collection: Collection) -> list[tuple[str, Deletion, float]]:
    """Return the deletions that can be undone with their tokens, newest first, and for how many seconds."""
    end = time.time() - UNDO_SECONDS + _GRACE_SECONDS
    found = [(token, one, one.at - end) for token, one in collection.deletions.items()]
    return sorted((one for one in found if one[2] > 0), key=lambda one: -one[2])


def without(collection: Collection, pictures: set[str]) -> Collection:
    """Return the same with these pictures no longer to be deleted, since they were added again."""
    left = {
        token: replace(one, pictures=tuple(picture for picture in one.pictures if picture not in pictures))
        for token, one in collection.deletions.items()
    }
    return replace(collection, deletions={token: one for token, one in left.items() if one.pictures})
