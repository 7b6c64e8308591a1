"""Parting a collection's pictures into those to train with and those to validate by."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from flask_detector.collections.documents import Entry
from flask_detector.collections.pictures import Pictures
from flask_detector.structures.splits import Split


def split(pictures: Pictures, id: str, *, validation: float, seed: int = 0, again: bool = False) -> None:
    """Part a collection's pictures into those to train with and those to validate by; see `assigned`.

    again: also those that belong to a part already. What is cut off is finished by doing it again.
    """
    entries = [entry for entry in pictures.entries(id) if again or entry.split is None]
    splits = assigned(entries, validation=validation, seed=seed)
    for part in ("train", "val"):

        def change(document: dict[str, Any], part: str = part) -> None:
            document["split"] = part

        ids = [entry.id for entry in entries if splits[entry.id] == part != entry.split]
        pictures.change(id, ids, change)


def assigned(entries: Sequence[Entry], *, validation: float, seed: int) -> Mapping[str, Split]:
    """Return "train" or "val" for each picture by its id: the same again for the same pictures and seed.

    So many pictures are for validation as the share says, rounded. Classes are parted by about the same
    share: pictures are taken class by class, the rarest first, and each goes where that class, or else
    pictures at all, are missing most (iterative stratification; Sechidis and others, 2011).

    validation: the share, in 0..1.
    """
    order = sorted(entries, key=lambda entry: hashlib.sha256(f"{seed} {entry.id}".encode()).digest())
    pictures_of = Counter(label for entry in order for label in entry.counts)
    wanted = {label: number * validation for label, number in pictures_of.items()}
    pictures_left = round(len(order) * validation)
    splits: dict[str, Split] = {}
    # The rarest class first; pictures without any object last.
    for label in [*sorted(pictures_of, key=lambda label: (pictures_of[label], label)), None]:
        group = [e for e in order if e.id not in splits and (label in e.counts or label is None)]
        number = pictures_left if label is None else min(round(max(wanted[label], 0)), pictures_left)
        for place, entry in enumerate(group):
            is_chosen = place < number
            splits[entry.id] = "val" if is_chosen else "train"
            if is_chosen:
                pictures_left -= 1
                wanted.update({one: wanted[one] - 1 for one in entry.counts})
    # Rounding class by class may leave some to be given.
    for entry in order:
        if pictures_left > 0 and splits[entry.id] == "train":
            splits[entry.id] = "val"
            pictures_left -= 1
    return splits
