"""What a run of teaching is asked for, and who is told how it gets on."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from flask_detector.detectors.zoo.registry import PAIR

if TYPE_CHECKING:
    from flask_detector.datasets import ImportedPicture, Remark
    from flask_detector.detectors import ModelInfo

DEFAULT_BASE: Final = "nanodet-g"


class Cost(NamedTuple):
    """What teaching a base takes.

    batch: how many pictures a step learns from. seconds: of a core, about, that a step takes.
    memory: of a run at its peak, in bytes.
    """

    batch: int
    seconds: float
    memory: int


_COSTS: Final = {
    DEFAULT_BASE: Cost(8, 0.96, 1_800_000_000),
    "rtmdet-ins-tiny": Cost(4, 2.2, 1_700_000_000),
    "rtmdet-ins-s": Cost(4, 3.6, 2_000_000_000),
}

TRAINING_SHARE: Final = 0.85
"""Of the time: what reading the pictures, proving and installing take is not for training."""

# Each picture is seen so often if time allows it, but all together not less than that many steps.
EPOCHS: Final = 50
LEAST_STEPS, MOST_STEPS = 250, 4000

# With fewer pictures each is learned from in its turn and proves the others: cross-validation.
ENOUGH_TO_HOLD_OUT: Final = 20
HELD_OUT: Final = 5  # one of so many pictures
FOLDS: Final = 3


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


def can_be_taught(model: "ModelInfo") -> bool:
    """Return whether a model can be a base: the embedded one, and each RTMDet-Ins by itself."""
    return model.name == DEFAULT_BASE or (model.architecture == "rtmdet-ins" and model.variant != PAIR)


def cost_of(base: str) -> Cost:
    """Return what teaching a base takes; a user's own RTMDet-Ins is taken for one of size s."""
    return _COSTS.get(base, _COSTS["rtmdet-ins-s"])


def steps_for(pictures: int, batch: int) -> int:
    """Return how many steps so many pictures are learned in, if time allows it; batch: of each step."""
    return min(MOST_STEPS, max(LEAST_STEPS, math.ceil(pictures * EPOCHS / batch)))


def division(pictures: int, held_out: int) -> tuple[int, int, int]:
    """Return how many pictures are learned from, how many prove it, and in how many parts.

    held_out: how many of them the data set itself keeps for that.
    """
    if held_out:
        return pictures - held_out, held_out, 1
    if pictures >= ENOUGH_TO_HOLD_OUT:
        proof = math.ceil(pictures / HELD_OUT)
        return pictures - proof, proof, 1
    return pictures, pictures, min(FOLDS, pictures)


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
