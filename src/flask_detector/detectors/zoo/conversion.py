"""What makes graphs of a checkpoint. The network's own module is only imported when one is to be made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flask_detector.detectors.reading import Reading


class Convert(Protocol):
    """Makes graphs of a checkpoint."""

    def __call__(
        self,
        checkpoint: Path,
        folder: Path,
        *,
        variant: str | None,
        labels: Sequence[str],
        options: Mapping[str, Any],
        on_progress: Callable[[float], None],
    ) -> Reading:
        """Fill the existing, empty folder; return what the checkpoint is.

        variant, labels, options: what the user says of it; none of them need be said.
        on_progress: called with numbers in 0..1.

        Raises CheckpointError, and BadParameter for a variant that there isn't and for labels or options that
        do not fit.
        """


@dataclass(frozen=True)
class Converter:
    """What makes graphs, and the version of those that it makes: others are made anew.

    check: has the graphs in a folder detect something; raises CheckpointError where they give no numbers.
    measure: returns the seconds that a picture takes with the installed model of that name; None where that
    can't be found out now.
    """

    version: int
    convert: Convert
    check: Callable[[Path], None] = lambda _: None
    measure: Callable[[str], float | None] = lambda name: None


def checkpoint_converter() -> Converter:
    """Return the converter of every model that is not embedded."""
    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.trial import check
    from flask_detector.detectors.weights_file import GRAPH_VERSION

    return Converter(GRAPH_VERSION, convert, check)
