"""The classes of a data set, which may come from several models."""

from collections.abc import Sequence

from flask_detector.detectors.coco_labels import COCO_LABELS, USED_COCO_NUMBERS

_COCO_IDS = dict(zip(COCO_LABELS, USED_COCO_NUMBERS, strict=True))


class Categories:
    """The classes so far: the first model's in its own order, then whatever labels others add."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._ids: dict[str, int] = {}

    def add(self, labels: Sequence[str]) -> None:
        """Take the labels of a model in."""
        if not self._ids and set(labels) >= _COCO_IDS.keys():  # a person may have added some
            self._ids = dict(_COCO_IDS)
        for label in labels:
            self._numbers.setdefault(label, len(self._numbers))
            self._ids.setdefault(label, max(self._ids.values(), default=0) + 1)

    @property
    def labels(self) -> list[str]:
        """The labels in the order of their numbers."""
        return list(self._numbers)

    def number(self, label: str) -> int:
        """Return a label's number, from 0 without gaps."""
        return self._numbers[label]

    def coco_id(self, label: str) -> int:
        """Return a label's id in COCO's files.

        These are COCO's own, 1 to 90, if the first model knows COCO's 80 classes, else from 1 without gaps.
        """
        return self._ids[label]
