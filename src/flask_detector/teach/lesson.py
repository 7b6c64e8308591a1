"""What a run of teaching is asked for, and who is told how it gets on."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

BASES: Final = ("nanodet-g",)


@dataclass(frozen=True)
class Lesson:
    """What is asked for.

    data: a folder or ZIP of a data set. classes: to teach; empty for all.
    minutes: that it may take altogether.
    is_partly_marked: see `taking.take`.
    """

    data: Path
    base: str
    name: str
    classes: tuple[str, ...] = ()
    minutes: float = 5.0
    seed: int = 0
    is_partly_marked: bool = False

    @property
    def pair(self) -> str:
        """The name of the model that finds the base's classes, too."""
        return f"{self.base}-with-{self.name}"

    def to_json(self) -> dict[str, Any]:
        """Return what a run that goes on must have in common with the one that was stopped."""
        form = asdict(self) | {"data": str(self.data.resolve()), "classes": list(self.classes)}
        del form["minutes"]
        return form


class Listener(Protocol):
    """Who is told how a run gets on."""

    def say(self, text: str) -> None:
        """Take a whole sentence."""

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        """Take how far a phase is, in 0..1; called often."""
