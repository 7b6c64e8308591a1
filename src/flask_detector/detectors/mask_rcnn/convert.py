"""From a checkpoint to converted weights, ready to be mapped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.mask_rcnn.fold_batchnorm import fold, norm_of
from flask_detector.detectors.mask_rcnn.identify import Recognised, recognise
from flask_detector.detectors.mask_rcnn.variants import EPSILONS, TRAITS, Variant
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.weights_file import check_finite, write_weights

ARCHITECTURE: Final = "mask-rcnn"

Floats = npt.NDArray[np.float32]


def convert(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    variant: Variant | None,
    labels: Sequence[str],
    options: Mapping[str, Any],
    on_progress: Callable[[float], None],
) -> Reading:
    """Make the folder of converted weights; return what the checkpoint is.

    variant, labels, options: what the user says of it, see `recognise`.
    on_progress: called with the part that is done.

    Raises ForeignCheckpoint or another CheckpointError, BadParameter, and OSError where the folder can't be
    written.
    """
    recognised = recognise(checkpoint, variant, labels=labels, options=options)
    reading = Reading(
        architecture=ARCHITECTURE,
        variant=str(recognised.variant),
        title=f"Mask R-CNN R-50 FPN, {TRAITS[recognised.variant].title}",
        labels=recognised.labels,
        options=recognised.options,
        notes=recognised.notes,
    )
    write_weights(folder, _arrays(recognised, on_progress), reading, recognised.classes)
    return reading


def _arrays(recognised: Recognised, report: Callable[[float], None]) -> Iterator[tuple[str, Floats]]:
    epsilon = TRAITS[recognised.variant].norm_epsilon
    pending: dict[str, tuple[Floats, Floats]] = {}
    for number, layer in enumerate(recognised.layers):
        weight, bias = fold(layer, recognised.tensors, epsilon=epsilon)
        check_finite(layer.source, weight, bias)
        name = layer.name
        if name == "rpn.logits":
            pending[name] = weight, bias
            continue
        if name == "rpn.deltas":
            # The two read the same input: one convolution gives both.
            name = "rpn.answers"
            weight = np.concatenate([pending["rpn.logits"][0], weight])
            bias = np.concatenate([pending["rpn.logits"][1], bias])
        yield f"{name}.weight", weight
        yield f"{name}.bias", bias
        if layer.norm is not None and recognised.variant in EPSILONS:
            yield f"{name}.norm", norm_of(layer, recognised.tensors)
        report((number + 1) / (len(recognised.layers) + 1))
