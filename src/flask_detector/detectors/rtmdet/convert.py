"""From a checkpoint to converted weights: recognised by its tensors, batch norms folded."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flask_detector.detectors.checkpoint.batch_norm import Floats, folded, scale_of, unfolded
from flask_detector.detectors.checkpoint.class_names import class_names
from flask_detector.detectors.checkpoint.contents import check_shapes, network_in
from flask_detector.detectors.checkpoint.mmdet_config import (
    at,
    config_of,
    config_text,
    differing,
    refuse_if,
    size_for_testing,
)
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.safetensors import write_safetensors
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.detectors.pair import base_of, meta_of, replaced
from flask_detector.detectors.reading import Reading, notes_on
from flask_detector.detectors.rtmdet.architecture import (
    DISTANCES,
    LOGARITHMS,
    NORM_EPSILON,
    SIDE,
    STRIDES,
    Conv,
    architecture_of,
    owner_of,
)
from flask_detector.detectors.rtmdet.build_graph import MEAN, STD
from flask_detector.detectors.rtmdet.postprocess import BOX_RULES, MASK_RULES, Rules
from flask_detector.detectors.weights_file import check_finite, write_weights
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import BadParameter, ForeignCheckpoint

BOXES: Final = "rtmdet"
MASKS: Final = "rtmdet-ins"

_MARK = "bbox_head.rtm_cls.0.weight"


def is_rtmdet(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint is of RTMDet, with masks or without."""
    return any(name.endswith(_MARK) for name in network_in(checkpoint, [_MARK]).tensors)


def convert(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    variant: str | None = None,
    labels: Sequence[str],
    on_progress: Callable[[float], None],
) -> Reading:
    """Make the folder of converted weights, any size and any number of classes; return what it is.

    variant: "pair" to find the classes of the model as well that it was taught from, as the file says.
    labels: what the user says that its classes are called.
    on_progress: called with the part that is done.

    Raises ForeignCheckpoint or another CheckpointError, BadParameter for labels of another number, and
    OSError where the folder can't be written.
    """
    network = network_in(checkpoint, [_MARK, "bbox_head.rtm_reg.0.weight"])
    tensors = network.tensors
    architecture = architecture_of(
        {name: tensor.shape for name, tensor in tensors.items()},
        predicts_logarithms=_predicts_logarithms(checkpoint.meta),
    )
    if architecture is None:
        raise ForeignCheckpoint("The checkpoint is of RTMDet, but of another backbone or neck.")
    convs = list(architecture.convs())
    title = "RTMDet-Ins" if architecture.has_masks else "RTMDet"
    check_shapes(tensors, [conv.tensors() for conv in convs], network=title)
    config = config_of(checkpoint.meta)
    rules = _rules(config, MASK_RULES if architecture.has_masks else BOX_RULES)
    base = base_of(checkpoint.meta)
    if variant == PAIR and not (base and architecture.has_masks):
        raise BadParameter("The file does not say what it was taught from.", hint="Leave the variant out.")
    names = class_names(checkpoint.meta, architecture.classes, given=labels, background_first=False)
    reading = Reading(
        architecture=MASKS if architecture.has_masks else BOXES,
        variant=PAIR if variant == PAIR else LOGARITHMS if architecture.predicts_logarithms else DISTANCES,
        title=f"MMDetection's {title}" + (f", beside {base}" if variant == PAIR else ""),
        labels=names.labels,
        options=rules | ({"base": base, "replaces": replaced(checkpoint.meta, names.labels)} if base else {}),
        notes=(*network.notes, names.note, *notes_on(rules)),
        has_masks=architecture.has_masks,
    )
    write_weights(folder, _arrays(convs, tensors, on_progress), reading, names.classes)
    return reading


def write_checkpoint(
    path: Path, weights: Mapping[str, Floats], labels: Sequence[str], about: Mapping[str, Any]
) -> None:
    """Write an RTMDet-Ins as a .safetensors file that `convert`, and MMDetection, read. Raises OSError.

    weights: by layer with ".weight" and ".bias", see `WeightsFile`.
    about: what the file says of it besides, JSON by name.
    """
    architecture = architecture_of({name: array.shape for name, array in weights.items()})
    if architecture is None:
        raise ValueError("these are not the weights of RTMDet")
    tensors: dict[str, Floats] = {}
    for conv in architecture.convs():
        whose, _ = owner_of(conv.name)
        weight, bias = weights[f"{whose}.weight"], weights[f"{conv.name}.bias"]
        tensors[f"{conv.name}.weight"] = weight
        if conv.norm is None:
            tensors[f"{conv.name}.bias"] = bias
        else:
            scale = scale_of(weights[f"{conv.name}.weight"], weight)
            tensors |= unfolded(conv.norm, scale, bias, epsilon=NORM_EPSILON)
    write_safetensors(path, tensors, meta_of(labels, about))


# What is the same in all models here, by where it stands in the configuration's "model".
_FIXED: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("bbox_head", "anchor_generator", "strides"), list(STRIDES)),
    (("bbox_head", "anchor_generator", "offset"), 0),
    (("data_preprocessor", "mean"), list(MEAN)),
    (("data_preprocessor", "std"), list(STD)),
    (("data_preprocessor", "bgr_to_rgb"), False),
    (("test_cfg", "nms", "type"), "nms"),
    (("test_cfg", "min_bbox_size"), 0),
    (("test_cfg", "mask_thr_binary"), 0.5),
)


# Which rule a number of "test_cfg" is, and how large it may be.
_NUMBERS: dict[str, tuple[tuple[str, ...], int | float]] = {
    "candidates": (("test_cfg", "nms_pre"), 100_000),
    "iou_threshold": (("test_cfg", "nms", "iou_threshold"), 1.0),
    "most": (("test_cfg", "max_per_img"), 1000),
    "min_score": (("test_cfg", "score_thr"), 1.0),
}

# MMDetection's own "score_thr", with masks and without. Less than that may be asked for here, unless a
# configuration demands more.
_USUAL_SCORES = {0.05, 0.001}


def _rules(config: Mapping[str, Any], usual: Rules) -> dict[str, Any]:
    """Return which rules of the selection a configuration sets otherwise than usual.

    Raises ForeignCheckpoint with the list of what it asks for that is not done here.
    """
    model = config.get("model")
    differences = differing(model, _FIXED)
    size = size_for_testing(config)
    if size not in {None, (SIDE, SIDE)}:
        differences.append(f"pictures are resized to {size}, not {(SIDE, SIDE)}")
    found = {}
    for name, (path, limit) in _NUMBERS.items():
        value = at(model, path)
        if value is None or value == getattr(usual, name) or (name == "min_score" and value in _USUAL_SCORES):
            continue
        if type(value) in {int, type(limit)} and 0 < value <= limit:
            found[name] = value
        else:
            differences.append(f"{'.'.join(path)} is {value}, not a number up to {limit}")
    refuse_if(differences)
    return found


def _predicts_logarithms(meta: Mapping[str, Any]) -> bool | None:
    """Return what the training's configuration in the file says of it; None where it says nothing."""
    said = re.search(r"\bexp_on_reg['\"]?\s*[=:]\s*(True|False)\b", config_text(meta))
    return None if said is None else said[1] == "True"


def _arrays(
    convs: list[Conv], tensors: Mapping[str, Tensor], report: Callable[[float], None]
) -> Iterator[tuple[str, Floats]]:
    for number, conv in enumerate(convs):
        weight, bias = folded(conv.name, conv.norm, tensors, epsilon=NORM_EPSILON)
        check_finite(conv.name, weight, bias)
        yield f"{conv.name}.weight", weight
        yield f"{conv.name}.bias", bias
        report((number + 1) / (len(convs) + 1))
