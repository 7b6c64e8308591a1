"""From a checkpoint of any network known here to converted weights."""

from collections.abc import Callable
from pathlib import Path

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.detectors.mask_rcnn import convert as mask_rcnn
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.rtmdet import convert as rtmdet
from flask_detector.detectors.zoo.registry import Architecture
from flask_detector.errors import BadParameter, CheckpointError


def convert(
    checkpoint: Path,
    folder: Path,
    *,
    variant: Variant | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Architecture:
    """Make the folder of converted weights out of a checkpoint (.pth or .safetensors); return what it is of.

    The folder appears whole or not at all; one that is there already is replaced.

    variant: of Mask R-CNN, needed only where the checkpoint does not tell.
    on_progress: called with the part that is done, ending with 1.0.

    Raises UnsafeCheckpoint, ForeignCheckpoint or another CheckpointError, with the checkpoint's name,
    BadParameter for a variant of another network, and OSError where the folder can't be written.
    """
    report = on_progress or (lambda _: None)
    found = read_checkpoint(checkpoint)
    try:
        architecture: Architecture = mask_rcnn.ARCHITECTURE
        if not rtmdet.is_rtmdet(found):
            mask_rcnn.convert(found, folder, variant=variant, on_progress=report)
        elif variant is None:
            architecture = rtmdet.convert(found, folder, on_progress=report)
        else:
            raise BadParameter(
                f"{checkpoint.name} is of RTMDet, not {variant}.", hint="Leave the variant out."
            )
    except CheckpointError as error:
        raise type(error)(f"{checkpoint.name}: {error.message}", hint=error.hint) from error
    report(1.0)
    return architecture
