"""Which network a checkpoint is of, by the names and shapes of its tensors and by what else the file says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_detector.detectors.checkpoint.class_names import class_names
from flask_detector.detectors.checkpoint.contents import check_shapes, listed, network_in
from flask_detector.detectors.checkpoint.mmdet_config import at, config_of
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.detectors.coco_labels import COCO_LABELS, COCO_NUMBERS
from flask_detector.detectors.mask_rcnn.layers import Layer, Layout, layers, marks
from flask_detector.detectors.mask_rcnn.mmdet_options import options_in
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.detectors.reading import notes_on
from flask_detector.errors import ForeignCheckpoint


@dataclass(frozen=True)
class Recognised:
    """A checkpoint that fits.

    layers: all layers, in order.
    tensors: the checkpoint's, under the names of today.
    labels: the names of the classes by class id.
    classes: for each class of the network (without the background), its class id.
    options: what is set otherwise than the variant has it, by name.
    notes: how that was found out, for people.
    """

    variant: Variant
    layers: Sequence[Layer]
    tensors: Mapping[str, Tensor]
    labels: tuple[str, ...]
    classes: tuple[int, ...]
    options: Mapping[str, Any]
    notes: tuple[str, ...]


def recognise(
    checkpoint: Checkpoint,
    variant: Variant | None = None,
    *,
    labels: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Recognised:
    """Return what a checkpoint is, or raise ForeignCheckpoint with the list of what does not fit.

    variant: what the user says it is; needed only where the file does not tell.
    labels, options: what the user says; else what the file does.

    Raises BadParameter for labels and options that can't be used.
    """
    network = network_in(checkpoint, marks())
    tensors = _renamed(network.tensors, checkpoint.meta)
    layout = _layout(tensors)
    classes = _number_of_classes(tensors, layout)
    expected = layers(layout, classes)
    _check(tensors, expected, layout)
    chosen, why = _variant(checkpoint, tensors, layout, classes, variant)
    names = class_names(checkpoint.meta, classes, given=labels, background_first=layout.background_first)
    stated = {**_options_in_file(tensors, checkpoint.meta, layout), **(options or {})}
    usual = TRAITS[chosen].options
    differing = usual.changed(stated).differences(usual)
    notes = [*network.notes, why, names.note, *notes_on(differing)]
    return Recognised(
        chosen,
        expected,
        tensors,
        names.labels,
        names.classes,
        differing,
        tuple(note for note in notes if note),
    )


LAYOUTS = {
    Variant.MMDET_CAFFE: Layout.MMDET,
    Variant.MMDET_PYTORCH: Layout.MMDET,
    Variant.TORCHVISION_V1: Layout.TORCHVISION_V1,
    Variant.TORCHVISION_V1_EPS: Layout.TORCHVISION_V1,
    Variant.TORCHVISION_V2: Layout.TORCHVISION_V2,
    Variant.DETECTRON2: Layout.DETECTRON2,
}

# What torchvision calls today what its files of 2019 call otherwise.
# Source: torchvision 0.29.1, FeaturePyramidNetwork, RPNHead and MaskRCNNHeads, _load_from_state_dict.
_OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)
_OLD_MASK_NAME = re.compile(r"^roi_heads\.mask_head\.mask_fcn([1-4])\.(weight|bias)$")

_MMDET_1 = "MMDetection 1, which counts classes and places boxes otherwise"
_UPGRADE = "Convert it with upgrade_model_version.py of MMDetection 2 (tools/model_converters), and add that."

# Networks that may have its heads, by a name among their tensors; then others.
_RELATIVES = (
    (r"^(bbox_head\.(0\.)?fc_cls|mask_head\.(0\.)?conv_logits)\.weight$", _MMDET_1),
    (r"^conv1_w$|^res2_0_branch2a_w$", "Caffe2 (Detectron 1)"),
    (r"bbox_head\.\d\.fc_cls\.|box_predictor\.\d\.", "Cascade R-CNN"),
    (r"keypoint_(head|predictor)", "Keypoint R-CNN"),
)
_OTHERS = (
    (r"(retina_cls|classification_head|head\.cls_score)\.", "RetinaNet or a relative of it"),
    (r"(^|\.)(class_embed|query_embed|transformer)\.", "DETR or a relative of it"),
    (r"^model\.\d+\.(conv|cv\d|m)\.", "YOLO"),
    (r"(box_predictor|bbox_head\.fc_cls|bbox_head\.shared_fcs)\.", "Faster R-CNN, which has no masks"),
    (r"^(layer4|backbone\.layer4|res5)\.2\.conv3\.", "a ResNet alone, without a detector"),
    (r"(^|\.)bbox_head\.head_module\.", "MMYOLO, which names the layers of its networks otherwise"),
    (r"(^|\.)stage4\.2\.attention\.fc\.", "RTMDet's backbone, alone or with another head"),
)


def _renamed(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> dict[str, Tensor]:
    if not _has_detectron2s_masks(tensors):
        renamed = {_today(name): tensor for name, tensor in tensors.items()}
    elif meta.get("matching_heuristics"):
        renamed = {_by_ending(name): tensor for name, tensor in tensors.items()}
    else:
        renamed = dict(tensors)
    if len(renamed) < len(tensors):
        raise ForeignCheckpoint("The checkpoint has a tensor under its name of today and under an older one.")
    return renamed


def _has_detectron2s_masks(tensors: Mapping[str, Tensor]) -> bool:
    # It calls the mask head's convolutions as torchvision's older files do.
    return any(name.endswith("roi_heads.mask_head.deconv.weight") for name in tensors)


def _today(name: str) -> str:
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    return _OLD_MASK_NAME.sub(lambda m: f"roi_heads.mask_head.{int(m[1]) - 1}.0.{m[2]}", name)


def _by_ending(name: str) -> str:
    """Return the name of Detectron2's tensor that ends so, which is how it matches names where a file asks.

    Source: Detectron2, checkpoint/c2_model_loading.py, align_and_update_state_dicts.
    """
    full = (one for layer in layers(Layout.DETECTRON2, 80) for one in layer.tensors())
    return next((one for one in full if one.endswith(f".{name}")), name)


def _layout(tensors: Mapping[str, Tensor]) -> Layout:
    def fitting(layout: Layout) -> int:
        return sum(name in tensors for layer in layers(layout, 80) for name in layer.tensors())

    best = max(Layout, key=fitting)
    has_masks = any(name in tensors for name in marks() if "mask" in name)
    for pattern, what in _RELATIVES if has_masks else _RELATIVES + _OTHERS:
        if any(re.search(pattern, name) for name in tensors):
            raise ForeignCheckpoint(
                f"The checkpoint is of {what}.", hint=_UPGRADE if what is _MMDET_1 else None
            )
    if not has_masks and fitting(best) < len(tensors) / 2:
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
    ignored: list[str] = []
    if layout is Layout.DETECTRON2:
        # Buffers of earlier versions; the first two are looked at.
        ignored = ["pixel_mean", "pixel_std"]
        ignored += [f"proposal_generator.anchor_generator.cell_anchors.{level}" for level in range(5)]
    shapes = [layer.tensors() for layer in expected]
    check_shapes(tensors, shapes, ignored, network=f"Mask R-CNN R-50 FPN ({layout})")


def _variant(
    checkpoint: Checkpoint,
    tensors: Mapping[str, Tensor],
    layout: Layout,
    classes: int,
    stated: Variant | None,
) -> tuple[Variant, str]:
    """Return the variant, and why it is that one where that is to be said."""
    if stated is not None:
        if layout is not LAYOUTS[stated]:
            raise ForeignCheckpoint(f"The checkpoint is {layout}, not {stated}.")
        return stated, ""
    fitting = [variant for variant in Variant if LAYOUTS[variant] is layout]
    if len(fitting) == 1:
        return fitting[0], ""
    if layout is Layout.TORCHVISION_V1:
        return _epsilon(checkpoint.meta, tensors, classes)
    style = _style(checkpoint.meta)
    if style is None:
        raise ForeignCheckpoint(
            "The checkpoint does not tell whether its ResNet is of caffe or pytorch style.",
            hint=f"Say so: the variant is '{Variant.MMDET_CAFFE}' or '{Variant.MMDET_PYTORCH}'.",
        )
    variant = Variant.MMDET_CAFFE if style == "caffe" else Variant.MMDET_PYTORCH
    return variant, f"Its configuration says that its ResNet is of {style} style."


# What a program leaves beside the weights that trained them itself.
_LEFT_BY_TRAINING = {
    "optimizer",
    "optimizer_state_dict",
    "optimizer_states",
    "lr_scheduler",
    "scheduler",
    "epoch",
}


def _epsilon(meta: Mapping[str, Any], tensors: Mapping[str, Tensor], classes: int) -> tuple[Variant, str]:
    """Tell whether torchvision's batch norms have the epsilon 0 of its published weights, or 1e-5.

    Models that are made with those weights keep it when they are trained further. All others have 1e-5, and
    most of them frozen batch norms too, without counters.
    """
    args = meta.get("args")
    args = args if isinstance(args, dict) else {}
    if any(name.endswith("num_batches_tracked") for name in tensors):
        return Variant.TORCHVISION_V1_EPS, "Batch norms are read with epsilon 1e-5: they count their batches."
    zero = Variant.TORCHVISION_V1, Variant.TORCHVISION_V1_EPS
    if "weights" in args or "pretrained" in args:
        from_published = bool(args.get("weights") or args.get("pretrained"))
        why = f"its training began {'with' if from_published else 'without'} torchvision's published weights"
    elif classes != COCO_NUMBERS:
        from_published, why = False, f"it has {classes} classes, and torchvision's published weights have 90"
    elif _LEFT_BY_TRAINING & meta.keys():
        from_published, why = False, "it was saved by a training of its own"
    else:
        from_published, why = True, "it looks like torchvision's published weights"
    chosen, other = zero if from_published else zero[::-1]
    epsilons = {Variant.TORCHVISION_V1: "0", Variant.TORCHVISION_V1_EPS: "1e-5"}
    return (
        chosen,
        f"Batch norms are read with epsilon {epsilons[chosen]}: {why}. If it should be {epsilons[other]}, "
        f"as in models {'made without' if from_published else 'fine-tuned from'} the published weights, add "
        f"it with --variant {other}; 'flask-detector models check' shows what both find.",
    )


def _style(meta: Mapping[str, Any]) -> str | None:
    style = at(config_of(meta), ("model", "backbone", "style"))
    return style if style in {"caffe", "pytorch"} else None


def _options_in_file(
    tensors: Mapping[str, Tensor], meta: Mapping[str, Any], layout: Layout
) -> dict[str, Any]:
    if layout is Layout.MMDET:
        return options_in(config_of(meta))
    found = {}
    if layout is Layout.DETECTRON2:
        for name, option in (("pixel_mean", "image_mean"), ("pixel_std", "image_std")):
            if name in tensors:
                found[option] = tensors[name].array().reshape(-1).tolist()
    return found
