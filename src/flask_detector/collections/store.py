"""Collections: make, find, list, rename, share and delete them.

Every file is written complete or not at all. Whoever changes a collection's files holds its lock.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, Self

import redis

from flask_detector.collections import documents
from flask_detector.collections.comparison import Comparison
from flask_detector.collections.documents import Collection, Rights
from flask_detector.collections.files import Files
from flask_detector.collections.index import Index, Sums
from flask_detector.errors import BadParameter, CollectionFull, UnknownCollection
from flask_detector.storage.base import Storage
from flask_detector.structures.labels import problem_of

MOST_COLLECTIONS = 200
"""Of one owner."""

# What an empty collection needs at least, of the blocks of a disk.
_COLLECTION_BYTES = 4096


class _Settings(Protocol):
    @property
    def collections_gb(self) -> float: ...

    @property
    def owner_collections_gb(self) -> float: ...


@dataclass(frozen=True)
class Limits:
    """How many bytes all collections together may have, and those of one owner."""

    total: int
    owner: int

    @classmethod
    def of(cls, settings: _Settings) -> Self:
        """Return the limits of an installation."""
        return cls(round(settings.collections_gb * 1e9), round(settings.owner_collections_gb * 1e9))


class Collections:
    """The collections of one installation.

    Every method raises BrokerUnavailable, StorageUnavailable, and ServiceError where a collection is busy;
    those that take an id raise UnknownCollection.
    """

    def __init__(self, storage: Storage, connection: redis.Redis, limits: Limits) -> None:
        self.files = Files(storage)
        self.index = Index(connection)
        self.comparison = Comparison(self.files, self.index)
        self._limits = limits

    def create(self, name: str, owner: str | None, classes: Sequence[str] = ()) -> Collection:
        """Make an empty collection; raises BadParameter and CollectionFull."""
        name = checked_name(name, "name")
        labels = tuple(dict.fromkeys(checked_name(label, "classes") for label in classes))
        if owner is not None and len(self.names_owned_by(owner)) >= MOST_COLLECTIONS:
            raise CollectionFull(f"You have {MOST_COLLECTIONS} collections, as many as there may be.")
        self.check_room(owner, _COLLECTION_BYTES)
        collection = Collection(secrets.token_hex(16), name, owner, now(), labels)
        self._write(collection)
        self.index.mark_compared(collection.id)
        return collection

    def find(self, id: str) -> Collection:
        """Return a collection."""
        if documents.is_id(id):
            self.comparison.ensure_list()
            collection = self.index.collection(id)
            if collection is not None and not collection.is_deleted:
                return collection
        raise UnknownCollection("There is no such collection.")

    def of_link(self, token: str) -> tuple[Collection, Rights]:
        """Return the collection that a link leads to, and what may be done with it."""
        self.comparison.ensure_list()
        collection = self.find(self.index.id_of_link(token) or "")
        rights = next((rights for rights, known in collection.links.items() if known == token), None)
        if rights is None:
            raise UnknownCollection("There is no such collection.")
        return collection, Rights(rights)

    def owned_by(self, owner: str) -> list[tuple[Collection, Sums]]:
        """Return an owner's collections with what they have, the newest first."""
        found = self.names_owned_by(owner)
        ids = [one.id for one in found]
        self.comparison.ensure(ids)
        return list(zip(found, self.index.sums(ids), strict=True))

    def names_owned_by(self, owner: str) -> list[Collection]:
        """Return an owner's collections alone, the newest first."""
        self.comparison.ensure_list()
        found = [one for one in self.index.owned_by(owner) if not one.is_deleted]
        return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)

    def sums(self, id: str) -> Sums:
        """Return what a collection has."""
        self.comparison.ensure([id])
        return self.index.sums([id])[0]

    def rename(self, id: str, name: str) -> Collection:
        """Give a collection another name; raises BadParameter."""
        name = checked_name(name, "name")
        return self.change(id, lambda collection: replace(collection, name=name))

    def share(self, id: str, rights: Rights) -> str:
        """Return the token of the link that gives these rights; the same one until it is withdrawn."""
        token = secrets.token_urlsafe(24)
        changed = self.change(id, lambda one: replace(one, links={rights.value: token, **one.links}))
        return changed.links[rights]

    def withdraw(self, id: str, rights: Rights) -> None:
        """Let the link that gives these rights open nothing any more."""
        self.change(id, lambda one: replace(one, links={r: t for r, t in one.links.items() if r != rights}))

    def delete(self, id: str) -> None:
        """Delete a collection with all of its files, also those that others have put among them."""
        self.change(id, lambda collection: replace(collection, is_deleted=True))
        self.comparison.remove(id)

    def change(self, id: str, change: Callable[[Collection], Collection]) -> Collection:
        """Write what a change makes of a collection.json, and return it."""
        with self.index.locked(id):
            return self.change_locked(id, change)

    def change_locked(self, id: str, change: Callable[[Collection], Collection]) -> Collection:
        """Do the same where the lock is held already."""
        before = self.find(id)
        collection = change(before)
        if collection != before:
            self._write(collection, before)
        return collection

    def check_room(self, owner: str | None, size: int) -> None:
        """Raise CollectionFull unless there is room for so many bytes more.

        Of an owner's collections one at a time is filled under its lock: two may pass the limit by what is
        written to both at the same moment.
        """
        if not self._limits.total:
            raise CollectionFull(
                "This server keeps no collections.", hint="Ask the operator to set DETECTOR_COLLECTIONS_GB."
            )
        used, by_owner = self.index.used(owner)
        if by_owner + size > self._limits.owner:
            raise CollectionFull(
                f"Your collections may take {_in_words(self._limits.owner)}; there is no room for more."
            )
        if used + size > self._limits.total:
            raise CollectionFull(
                f"All collections of this server may take {_in_words(self._limits.total)}; there is no room "
                "for more.",
                hint="Delete what is no longer needed, or ask the operator to raise DETECTOR_COLLECTIONS_GB.",
            )

    def _write(self, collection: Collection, before: Collection | None = None) -> None:
        self.files.write_collection(collection)
        self.index.set_collection(collection, before)


def checked_name(name: str, field: str) -> str:
    """Return a name without space around it; raises BadParameter for one that can't be shown."""
    name = name.strip()
    if (problem := problem_of(name)) is not None:
        raise BadParameter(f"The name {problem}.", hint="Choose another one.", field=field)
    return name


def now() -> str:
    """Return the time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _in_words(size: int) -> str:
    return f"{size / 1e9:g} GB" if size >= 1e9 else f"{size / 1e6:g} MB"
