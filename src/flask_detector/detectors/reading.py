"""What a user's checkpoint was recognised as."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Reading:
    """What a user's checkpoint was recognised as, and how: all of it is shown to the user.

    architecture: which detector it is for. variant: which of its relatives, as `add` takes it.
    title: both, for people.
    labels: the names of the classes by class id.
    options: what is set otherwise than usual, by name.
    notes: whole sentences: what was chosen and why, where the labels come from.
    has_masks: whether its detections have masks.
    licence: what the file's own metadata say.
    """

    architecture: Literal["mask-rcnn", "rtmdet", "rtmdet-ins", "nanodet", "onnx"]
    variant: str
    title: str
    labels: tuple[str, ...]
    options: Mapping[str, Any]
    notes: tuple[str, ...]
    has_masks: bool = True
    licence: str = "not stated"


def notes_on(options: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the options that are set otherwise than usual, if there are any."""
    settings = ", ".join(f"{name} {value}" for name, value in options.items())
    return [f"Options that differ from the defaults: {settings}."] if options else []
