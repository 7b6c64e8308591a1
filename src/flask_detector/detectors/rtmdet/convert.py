"""From a checkpoint to converted weights: recognised by its tensors, batch norms folded."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from flask_detector.detectors.checkpoint.contents import check_shapes, own_labels, without_prefixes
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.rtmdet.architecture import (
    DISTANCES,
    LOGARITHMS,
    NORM_EPSILON,
    Conv,
    Shape,
    architecture_of,
)
from flask_detector.detectors.weights_file import Floats, check_finite, write_weights
from flask_detector.errors import ForeignCheckpoint

BOXES: Final = "rtmdet"
MASKS: Final = "rtmdet-ins"


def is_rtmdet(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint is of RTMDet, with masks or without."""
    return any(name.endswith("bbox_head.rtm_cls.0.weight") for name in checkpoint.tensors)


def convert(
    checkpoint: Checkpoint, folder: Path, *, on_progress: Callable[[float], None]
) -> Literal["rtmdet", "rtmdet-ins"]:
    """Make the folder of converted weights, any size and any number of classes; return which of both it is.

    on_progress: called with the part that is done.

    Raises ForeignCheckpoint or another CheckpointError, and OSError where the folder can't be written.
    """
    tensors = without_prefixes(checkpoint.tensors)
    architecture = architecture_of(
        {name: tensor.shape for name, tensor in tensors.items()},
        predicts_logarithms=_predicts_logarithms(checkpoint.meta),
    )
    if architecture is None:
        raise ForeignCheckpoint("The checkpoint is of RTMDet, but of another backbone or neck.")
    convs = list(architecture.convs())
    shapes: dict[str, Shape] = {}
    for conv in convs:
        shapes |= conv.tensors()
    counters = {f"{conv.norm}.num_batches_tracked" for conv in convs if conv.norm is not None}
    check_shapes(tensors, shapes, counters, network="RTMDet-Ins" if architecture.has_masks else "RTMDet")
    labels = _labels(own_labels(checkpoint.meta), architecture.classes)
    kind: Literal["rtmdet", "rtmdet-ins"] = MASKS if architecture.has_masks else BOXES
    write_weights(
        folder,
        _arrays(convs, tensors, on_progress),
        architecture=kind,
        facts={
            "variant": LOGARITHMS if architecture.predicts_logarithms else DISTANCES,
            "labels": list(labels),
            "classes": list(range(len(labels))),
        },
    )
    return kind


def _predicts_logarithms(meta: Mapping[str, Any]) -> bool | None:
    """Return what the training's configuration in the file says of it; None where it says nothing."""
    said = re.search(r"\bexp_on_reg['\"]?\s*[=:]\s*(True|False)\b", str(meta.get("cfg") or ""))
    return None if said is None else said[1] == "True"


def _labels(own: tuple[str, ...], classes: int) -> tuple[str, ...]:
    if len(own) == classes:
        return own
    return COCO_LABELS if classes == len(COCO_LABELS) else tuple(f"class {i + 1}" for i in range(classes))


def _arrays(
    convs: list[Conv], tensors: Mapping[str, Tensor], report: Callable[[float], None]
) -> Iterator[tuple[str, Floats]]:
    for number, conv in enumerate(convs):
        weight, bias = _folded(conv, tensors)
        check_finite(conv.name, weight, bias)
        yield f"{conv.name}.weight", weight
        yield f"{conv.name}.bias", bias
        report((number + 1) / (len(convs) + 1))


def _folded(conv: Conv, tensors: Mapping[str, Tensor]) -> tuple[Floats, Floats]:
    """Return weight and bias with the batch norm folded in, computed in double precision."""
    weight = tensors[f"{conv.name}.weight"].array().astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if conv.norm is None:
            bias = tensors[f"{conv.name}.bias"].array()
        else:
            gamma, beta, mean, variance = (
                tensors[f"{conv.norm}.{part}"].array().astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(variance + NORM_EPSILON)
            weight = weight * scale[:, None, None, None]
            bias = beta - mean * scale
        # What is too large for single precision becomes infinite, and is refused.
        return np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)
