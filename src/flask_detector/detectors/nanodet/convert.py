"""NanoDet-g's checkpoints: to converted weights and, of a taught model, back to a file.

Both are in the layout of RangiLyu/nanodet: what is taught here can be read there, and a NanoDet-g that was
trained there can be added here. Its first convolution reads blue, green, red; ours red, green, blue.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.checkpoint.batch_norm import Floats, folded, tensors_of, unfolded
from flask_detector.detectors.checkpoint.class_names import class_names
from flask_detector.detectors.checkpoint.contents import check_shapes, network_in
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.safetensors import write_safetensors
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.detectors.nanodet.layers import LAYERS, LEVELS, SIDE_CHANNELS, embedded_weights
from flask_detector.detectors.pair import ALONE, meta_of, replaced
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.weights_file import check_finite, write_weights
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import ForeignCheckpoint

_MARK = "head.gfl_cls.0.weight"
_NORM_EPSILON = 1e-5  # PyTorch's default, which nanodet leaves as it is
_STEM = LAYERS[0]
_LAST = "head.gfl_cls."
# Of a head that shares its convolutions these are in the file, and unused.
_UNUSED = (
    "head.distribution_project.project",
    *(f"head.gfl_reg.{level}.{kind}" for level in range(LEVELS) for kind in ("weight", "bias")),
)


def is_nanodet(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint is of NanoDet."""
    return any(name.endswith(_MARK) for name in network_in(checkpoint, [_MARK]).tensors)


def convert(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    variant: str | None,
    labels: Sequence[str],
    on_progress: Callable[[float], None],
) -> Reading:
    """Make the folder of converted weights, for any number of classes; return what it is.

    variant: "pair" to find the base model's classes as well.
    labels: what the user says that its classes are called.
    on_progress: called with the part that is done.

    Raises ForeignCheckpoint or another CheckpointError, BadParameter for labels of another number, and
    OSError where the folder can't be written.
    """
    network = network_in(checkpoint, [_MARK])
    tensors = network.tensors
    outputs = (tensors[_MARK].shape or (0,))[0]
    if outputs <= SIDE_CHANNELS:
        raise ForeignCheckpoint("The checkpoint is of NanoDet, but of another head.")
    shapes = []
    for name, array in embedded_weights().items():
        layer, kind = name.rsplit(".", 1)
        if kind == "weight":
            count = outputs if layer.startswith(_LAST) else len(array)
            shapes.append(tensors_of(layer, (count, *array.shape[1:]), _norm_of(layer), count))
    check_shapes(tensors, shapes, _UNUSED, network="NanoDet-g")
    names = class_names(checkpoint.meta, outputs - SIDE_CHANNELS, given=labels, background_first=False)
    reading = Reading(
        architecture="nanodet",
        variant=variant or ALONE,
        title="NanoDet-g" if variant != PAIR else "NanoDet-g, beside the embedded one",
        labels=names.labels,
        options={"replaces": replaced(checkpoint.meta, names.labels)},
        notes=(*network.notes, names.note),
        has_masks=False,
    )
    write_weights(folder, _arrays(tensors, on_progress), reading, names.classes)
    return reading


def write_checkpoint(
    path: Path, weights: Mapping[str, Floats], labels: Sequence[str], about: Mapping[str, Any]
) -> None:
    """Write a model as a .safetensors file that `convert`, and nanodet itself, read. Raises OSError.

    weights: by layer with ".weight" and ".bias", see `layers.embedded_weights`.
    about: what the file says of it besides, JSON by name.
    """
    tensors = {}
    for layer in LAYERS:
        weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        tensors[f"{layer}.weight"] = np.ascontiguousarray(weight[:, ::-1] if layer == _STEM else weight)
        norm = _norm_of(layer)
        if norm is None:
            tensors[f"{layer}.bias"] = bias
        else:
            tensors |= unfolded(norm, np.ones_like(bias), bias, epsilon=_NORM_EPSILON)
    write_safetensors(path, tensors, meta_of(labels, about))


def _norm_of(layer: str) -> str | None:
    """Return the name of the batch norm behind a layer; None where it has a bias."""
    has_bias = layer.startswith(("fpn.", _LAST))
    return None if has_bias else f"{layer.removesuffix('.conv')}.bn"


def _arrays(tensors: Mapping[str, Tensor], report: Callable[[float], None]) -> Iterator[tuple[str, Floats]]:
    for number, layer in enumerate(LAYERS):
        weight, bias = folded(layer, _norm_of(layer), tensors, epsilon=_NORM_EPSILON)
        check_finite(layer, weight, bias)
        yield f"{layer}.weight", weight[:, ::-1] if layer == _STEM else weight
        yield f"{layer}.bias", bias
        report((number + 1) / (len(LAYERS) + 1))
