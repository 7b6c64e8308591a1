"""Which network a checkpoint is of, by the names and shapes of its tensors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_detector.detectors.checkpoint.contents import check_shapes, listed, own_labels, without_prefixes
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.mask_rcnn.layers import Layer, Layout, Shape, layers
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.errors import ForeignCheckpoint

# COCO's category numbers run to 90; these ten were never used. torchvision's models have an output for each.
_UNUSED_COCO_NUMBERS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_COCO_NUMBERS = 90


@dataclass(frozen=True)
class Recognised:
    """A checkpoint that fits.

    layers: all layers, in order.
    tensors: the checkpoint's, under the names of today.
    labels: the names of the classes by class id.
    classes: for each class of the network (without the background), its class id.
    """

    variant: Variant
    layers: Sequence[Layer]
    tensors: Mapping[str, Tensor]
    labels: tuple[str, ...]
    classes: tuple[int, ...]


def recognise(checkpoint: Checkpoint, variant: Variant | None = None) -> Recognised:
    """Return what a checkpoint is, or raise ForeignCheckpoint with the list of what does not fit.

    variant: what the user says it is; needed only where the file does not tell.
    """
    tensors = _renamed(checkpoint.tensors)
    layout = _layout(tensors)
    classes = _number_of_classes(tensors, layout)
    expected = layers(layout, classes)
    _check(tensors, expected, layout)
    found = _variant(checkpoint, layout, variant)
    labels, ids = _labels(checkpoint.meta, classes, layout)
    return Recognised(found, expected, tensors, labels, ids)


_LAYOUTS = {
    Variant.MMDET_CAFFE: {Layout.MMDET},
    Variant.MMDET_PYTORCH: {Layout.MMDET},
    Variant.TORCHVISION_V1: {Layout.TORCHVISION_V1},
    Variant.TORCHVISION_V1_EPS: {Layout.TORCHVISION_V1},
    Variant.TORCHVISION_V2: {Layout.TORCHVISION_V2},
}

# What torchvision calls today what its files of 2019 call otherwise.
# Source: torchvision 0.29.1, FeaturePyramidNetwork, RPNHead and MaskRCNNHeads, _load_from_state_dict.
_OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)
_OLD_MASK_NAME = re.compile(r"^roi_heads\.mask_head\.mask_fcn([1-4])\.(weight|bias)$")


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = without_prefixes(tensors)
    renamed = {_today(name): tensor for name, tensor in plain.items()}
    if len(renamed) < len(plain):
        raise ForeignCheckpoint("The checkpoint has a tensor under its name of today and under an older one.")
    return renamed


def _today(name: str) -> str:
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    return _OLD_MASK_NAME.sub(lambda m: f"roi_heads.mask_head.{int(m[1]) - 1}.0.{m[2]}", name)


def _layout(tensors: Mapping[str, Tensor]) -> Layout:
    def fitting(layout: Layout) -> int:
        return sum(name in tensors for layer in layers(layout, 80) for name in layer.tensors())

    best = max(Layout, key=fitting)
    if fitting(best) < len(tensors) / 2:
        raise ForeignCheckpoint(
            f"The checkpoint is of another network. Its tensors begin with {listed(list(tensors))}."
        )
    return best


def _number_of_classes(tensors: Mapping[str, Tensor], layout: Layout) -> int:
    """Return how many classes there are without the background; 80 where the layer is missing or odd."""
    source = next(layer.source for layer in layers(layout, 80) if layer.name == "box.logits")
    tensor = tensors.get(f"{source}.weight")
    rows = tensor.shape[0] if tensor is not None and tensor.shape else 0
    return rows - 1 if rows > 1 else len(COCO_LABELS)


def _check(tensors: Mapping[str, Tensor], expected: Sequence[Layer], layout: Layout) -> None:
    shapes: dict[str, Shape] = {}
    for layer in expected:
        shapes |= layer.tensors()
    counters = {f"{layer.norm}.num_batches_tracked" for layer in expected if layer.norm is not None}
    check_shapes(tensors, shapes, counters, network=f"Mask R-CNN R-50 FPN ({layout})")


def _variant(checkpoint: Checkpoint, layout: Layout, stated: Variant | None) -> Variant:
    if stated is not None:
        if layout not in _LAYOUTS[stated]:
            raise ForeignCheckpoint(f"The checkpoint is {layout}, not {stated}.")
        return stated
    if layout is Layout.TORCHVISION_V2:
        return Variant.TORCHVISION_V2
    if layout is Layout.TORCHVISION_V1:
        # Frozen batch norms, which published weights bring with them, have no counters.
        trained_anew = any(name.endswith("num_batches_tracked") for name in checkpoint.tensors)
        return Variant.TORCHVISION_V1_EPS if trained_anew else Variant.TORCHVISION_V1
    styles = set(re.findall(r"style\s*=\s*['\"](caffe|pytorch)['\"]", _config(checkpoint.meta)))
    if len(styles) != 1:
        raise ForeignCheckpoint(
            "The checkpoint does not tell whether its ResNet is of caffe or pytorch style.",
            hint=f"Say so: the variant is '{Variant.MMDET_CAFFE}' or '{Variant.MMDET_PYTORCH}'.",
        )
    return Variant.MMDET_CAFFE if styles == {"caffe"} else Variant.MMDET_PYTORCH


def _config(meta: Mapping[str, Any]) -> str:
    """Return the text of the training configuration: MMDetection 2 calls it "config", 3 "cfg"."""
    texts = [meta.get(key) for key in ("config", "cfg")]
    return "\n".join(text for text in texts if isinstance(text, str))


def _labels(meta: Mapping[str, Any], classes: int, layout: Layout) -> tuple[tuple[str, ...], tuple[int, ...]]:
    same = tuple(range(classes))
    own = own_labels(meta)
    if len(own) == classes:
        return own, same
    if layout is not Layout.MMDET and classes == _COCO_NUMBERS:
        used = [number for number in range(1, _COCO_NUMBERS + 1) if number not in _UNUSED_COCO_NUMBERS]
        ids = {number: i for i, number in enumerate([*used, *_UNUSED_COCO_NUMBERS])}
        unused = tuple(f"unused {number}" for number in _UNUSED_COCO_NUMBERS)
        return COCO_LABELS + unused, tuple(ids[number] for number in range(1, _COCO_NUMBERS + 1))
    if classes == len(COCO_LABELS):
        return COCO_LABELS, same
    return tuple(f"class {i}" for i in range(1, classes + 1)), same
