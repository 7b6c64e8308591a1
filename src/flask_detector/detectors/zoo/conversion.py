"""What makes graphs of a checkpoint. The network's own module is only imported when one is to be made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flask_detector.detectors.zoo.registry import Architecture
from flask_detector.errors import BadParameter


class Convert(Protocol):
    """Makes graphs of a checkpoint."""

    def __call__(
        self, checkpoint: Path, folder: Path, *, variant: str | None, on_progress: Callable[[float], None]
    ) -> Architecture:
        """Fill the existing, empty folder, and return for which detector.

        on_progress: called with numbers in 0..1.

        Raises CheckpointError, and BadParameter for a variant that there isn't.
        """


@dataclass(frozen=True)
class Converter:
    """What makes graphs, and the version of those that it makes: others are made anew."""

    version: int
    convert: Convert


def checkpoint_converter() -> Converter:
    """Return the converter of every model that is not embedded."""
    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.mask_rcnn.variants import Variant
    from flask_detector.detectors.weights_file import GRAPH_VERSION

    def convert_variant(
        checkpoint: Path, folder: Path, *, variant: str | None, on_progress: Callable[[float], None]
    ) -> Architecture:
        if variant is not None and variant not in set(Variant):
            raise BadParameter(f"There is no variant '{variant}'.", hint=f"There are {', '.join(Variant)}.")
        return convert(
            checkpoint,
            folder,
            variant=None if variant is None else Variant(variant),
            on_progress=on_progress,
        )

    return Converter(GRAPH_VERSION, convert_variant)
