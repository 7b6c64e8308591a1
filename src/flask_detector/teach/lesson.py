"""What a run of teaching is asked for, and who is told how it gets on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from flask_detector.datasets import ImportedPicture, Remark

BASES: Final = ("nanodet-g", "rtmdet-ins-tiny", "rtmdet-ins-s")


@dataclass(frozen=True)
class Lesson:
    """What is asked for.

    data: a folder or ZIP of a data set. classes: to teach; empty for all.
    minutes: that it may take altogether.
    is_partly_marked: there may be objects of these classes that nobody has marked, but for pictures whose
        annotations are verified as a whole.
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


class Data(Protocol):
    """Pictures with their objects, to be iterated once, and what is to be said of them then."""

    def __iter__(self) -> "Iterator[ImportedPicture]": ...

    @property
    def left_out(self) -> "list[Remark]":
        """What can't be used."""

    @property
    def changed(self) -> "list[Remark]":
        """What is used, but not as it was."""


@dataclass(frozen=True)
class Queued:
    """A run that a server has queued: it waits while another model is taught, and installs none.

    folder: keeps what is unfinished, and is deleted at the end.
    open_data: returns the pictures.
    keep: takes the folder with what came of it.
    """

    folder: Path
    open_data: Callable[[], AbstractContextManager[Data]]
    keep: Callable[[Path], None]


class Listener(Protocol):
    """Who is told how a run gets on."""

    def say(self, text: str) -> None:
        """Take a whole sentence."""

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        """Take how far it is, in 0..1 of all that is to be learned; called often."""

    def proven(self, part: float, loss: float, ap50: float, ap: float) -> None:
        """Take what the unfinished model reaches on the pictures that prove it."""
