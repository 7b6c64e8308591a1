"""What an import says of files and objects that it did not take as they are."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

_MOST: Final = 10_000

Kind = Literal["left out", "changed"]


class Unusable(ValueError):
    """A file or an object can't be used; the text says why, as a predicate."""


@dataclass(frozen=True)
class Remark:
    """Where something is, such as ``labels/a.txt, line 3``, and what about it, as a predicate."""

    where: str
    reason: str


class Remarks:
    """What was left out, and what was kept but changed. Of each the first 10,000, and how many more."""

    def __init__(self) -> None:
        self._lists: dict[Kind, list[Remark]] = {"left out": [], "changed": []}
        self._more = Counter[Kind]()

    def left_out(self, where: str, reason: str) -> None:
        """Say that something is not among what is imported."""
        self._add("left out", Remark(where, reason))

    def changed(self, where: str, reason: str) -> None:
        """Say that something is imported, but not as it was."""
        self._add("changed", Remark(where, reason))

    def doubled(self, classes: Iterable[str]) -> None:
        """Say of classes of one name that they are one."""
        for name, count in Counter(classes).items():
            if count > 1:
                self.changed(f"Class '{name}'", f"is declared {count} times and is one")

    def all(self, kind: Kind) -> list[Remark]:
        """Return what was left out or changed so far."""
        more = self._more[kind]
        return self._lists[kind] + ([Remark("elsewhere", f"{more:,} more were {kind}")] if more else [])

    def _add(self, kind: Kind, remark: Remark) -> None:
        if len(self._lists[kind]) < _MOST:
            self._lists[kind].append(remark)
        else:
            self._more[kind] += 1
