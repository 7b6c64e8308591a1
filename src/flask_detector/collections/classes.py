"""The classes of a collection: how many objects each has, and giving objects another one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flask_detector.collections.documents import Collection, Entry
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import checked_name
from flask_detector.errors import BadParameter


def counts_of(collection: Collection, entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many objects of each class pictures have, in the order of the classes."""
    counts = dict.fromkeys(collection.classes, 0)
    for entry in entries:
        for label, number in entry.counts.items():
            counts[label] = counts.get(label, 0) + number
    return counts


def remove_class(pictures: Pictures, id: str, name: str) -> None:
    """Take a class out of a collection that no object has; raises BadParameter."""
    objects = sum(entry.counts.get(name, 0) for entry in pictures.entries(id))
    if objects:
        raise BadParameter(
            f"The class '{name[:50]}' has {objects:,} object{'' if objects == 1 else 's'}.",
            hint="Rename it to merge it with another one, or delete its objects.",
            field="name",
        )
    if name not in pictures.collections.find(id).classes:
        raise BadParameter(f"The collection has no class '{name[:50]}'.", field="name")
    pictures.collections.change(
        id, lambda one: replace(one, classes=tuple(label for label in one.classes if label != name))
    )


def rename_class(pictures: Pictures, id: str, old: str, new: str) -> int:
    """Give the objects of a class another one, which may be there already; return how many pictures changed.

    What is cut off is finished by doing it again. Raises BadParameter.
    """
    new = checked_name(new, "to")
    affected = [entry.id for entry in pictures.entries(id) if old in entry.counts]
    if old not in pictures.collections.find(id).classes and not affected:
        raise BadParameter(f"The collection has no class '{old[:50]}'.", field="class")

    def renamed(labels: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(new if label == old else label for label in labels))

    def change(document: dict[str, Any]) -> None:
        for one in (*document["objects"], *document["said"]):
            one["label"] = new if one["label"] == old else one["label"]
        document["labels"] = renamed(document["labels"])

    pictures.change(id, affected, change)
    pictures.collections.change(id, lambda one: replace(one, classes=tuple(renamed(one.classes))))
    return len(affected)
