"""From a checkpoint or an export of any network known here to a converted model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.detectors.mask_rcnn import convert as mask_rcnn
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.nanodet import convert as nanodet
from flask_detector.detectors.onnx import isolated
from flask_detector.detectors.pair import VARIANTS
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.rtmdet import convert as rtmdet
from flask_detector.detectors.weights_file import whole_or_not_at_all
from flask_detector.errors import BadParameter, CheckpointError


def convert(
    checkpoint: Path,
    folder: Path,
    *,
    variant: str | None = None,
    labels: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Reading:
    """Make the folder of converted weights out of a checkpoint; return what that is.

    The folder appears whole or not at all; one that is there already is replaced.

    variant: of Mask R-CNN, where the checkpoint does not tell; of a taught one "pair" for it beside its base.
    labels: what its classes are called; empty for what the checkpoint says.
    options: of Mask R-CNN, see `mask_rcnn.options`.
    on_progress: called with the part that is done, ending with 1.0.

    Raises UnsafeCheckpoint, ForeignCheckpoint or another CheckpointError, with the checkpoint's name,
    BadParameter for a variant that there isn't, one or options of another network, and labels of another
    number, and OSError where the folder can't be written.
    """
    report = on_progress or (lambda _: None)
    if isolated.is_exported(checkpoint):
        with _named(checkpoint), whole_or_not_at_all(folder) as unfinished:
            return isolated.read(
                checkpoint, unfinished, variant=variant, labels=labels, options=options or {}
            )
    known = [*Variant, *VARIANTS]
    if variant is not None and variant not in known:
        raise BadParameter(f"There is no variant '{variant}'.", hint=f"Available: {', '.join(known)}.")
    found = read_checkpoint(checkpoint)
    with _named(checkpoint):
        if nanodet.is_nanodet(found):
            _refuse(checkpoint, "NanoDet", variant if variant not in VARIANTS else None, options)
            reading = nanodet.convert(found, folder, variant=variant, labels=labels, on_progress=report)
        elif rtmdet.is_rtmdet(found):
            _refuse(checkpoint, "RTMDet", variant if variant not in VARIANTS else None, options)
            reading = rtmdet.convert(found, folder, variant=variant, labels=labels, on_progress=report)
        else:
            if variant in VARIANTS:
                raise BadParameter(f"{checkpoint.name} was not taught here.", hint="Leave the variant out.")
            chosen = None if variant is None else Variant(variant)
            reading = mask_rcnn.convert(
                found, folder, variant=chosen, labels=labels, options=options or {}, on_progress=report
            )
    report(1.0)
    return reading


def _refuse(checkpoint: Path, what: str, variant: str | None, options: Mapping[str, Any] | None) -> None:
    """Raise BadParameter where a variant or options are given for a network that has none such."""
    if variant is not None or options:
        raise BadParameter(
            f"{checkpoint.name} is of {what}, {f'not {variant}' if variant else 'which has no options'}.",
            hint="Leave the variant and the options out.",
        )


@contextmanager
def _named(checkpoint: Path) -> Iterator[None]:
    """Have errors begin with the file's name."""
    try:
        yield
    except CheckpointError as error:
        raise type(error)(f"{checkpoint.name}: {error.message}", hint=error.hint) from error
