"""Whose network a checkpoint is, and what is said when it is nobody's."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.tensors import Storage, Tensor, contiguous
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.mask_rcnn.identify import recognise
from flask_detector.detectors.mask_rcnn.layers import Layout, layers
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.errors import ForeignCheckpoint

NAMES = {
    "caffe": "mmdet/mask_rcnn_r50_caffe_fpn",
    "v1": "torchvision/maskrcnn_resnet50_fpn",
    "v2": "torchvision/maskrcnn_resnet50_fpn_v2",
}


def shapes_of(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    form = json.loads((shared / "reference" / f"{NAMES[name]}.params.json").read_text())
    return {parameter: tuple(shape) for parameter, shape, _ in form["params"]}


def checkpoint(shapes: Mapping[str, tuple[int, ...]], meta: Mapping[str, Any] | None = None) -> Checkpoint:
    """Return a checkpoint of such tensors, which share one row of zeros."""
    largest = max(math.prod(shape) for shape in shapes.values())
    zeros = np.zeros(largest * 8, np.uint8)
    tensors: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        kind = "int64" if name.endswith("num_batches_tracked") else "float32"
        tensors[name] = contiguous(Storage(name, kind, largest, zeros), shape)
    return Checkpoint(tensors, meta or {})


def test_the_layouts_are_told_apart_by_their_tensors(shared: Path) -> None:
    assert recognise(checkpoint(shapes_of(shared, "v2"))).variant is Variant.TORCHVISION_V2
    caffe = checkpoint(shapes_of(shared, "caffe"))
    for variant in (Variant.MMDET_CAFFE, Variant.MMDET_PYTORCH):
        assert recognise(caffe, variant).variant is variant
    for variant in (Variant.TORCHVISION_V1, Variant.TORCHVISION_V1_EPS):
        assert recognise(checkpoint(shapes_of(shared, "v1")), variant).variant is variant


def test_the_style_is_read_off_mmdetections_own_config(shared: Path) -> None:
    shapes = shapes_of(shared, "caffe")
    for style, variant in {"caffe": Variant.MMDET_CAFFE, "pytorch": Variant.MMDET_PYTORCH}.items():
        config = f"model = dict(backbone=dict(type='ResNet', depth=50, style='{style}'))"
        for key in ("config", "cfg"):
            assert recognise(checkpoint(shapes, {key: config})).variant is variant


def test_a_style_that_nobody_tells_is_asked_for(shared: Path) -> None:
    with pytest.raises(ForeignCheckpoint, match="variant"):
        recognise(checkpoint(shapes_of(shared, "caffe")))


def test_a_variant_of_another_layout_is_refused(shared: Path) -> None:
    with pytest.raises(ForeignCheckpoint):
        recognise(checkpoint(shapes_of(shared, "v2")), Variant.MMDET_CAFFE)


@pytest.mark.parametrize("name", NAMES)
def test_missing_surplus_and_wrong_tensors_are_listed(shared: Path, name: str) -> None:
    variant = {"caffe": Variant.MMDET_CAFFE, "v1": Variant.TORCHVISION_V1}.get(name)
    shapes = shapes_of(shared, name)
    lost = [key for key in shapes if key.endswith("weight")][20]
    without = {key: shape for key, shape in shapes.items() if key != lost}
    with pytest.raises(ForeignCheckpoint, match=lost):
        recognise(checkpoint(without), variant)
    with pytest.raises(ForeignCheckpoint, match="extra_head"):
        recognise(checkpoint({**shapes, "extra_head.weight": (3, 3)}), variant)
    with pytest.raises(ForeignCheckpoint, match=lost):
        recognise(checkpoint({**shapes, lost: (5, *shapes[lost][1:])}), variant)


def test_a_long_list_is_cut_and_counted(shared: Path) -> None:
    shapes = {**shapes_of(shared, "v2"), **{f"extra.{i}": (1,) for i in range(25)}}
    with pytest.raises(ForeignCheckpoint, match="15 more") as caught:
        recognise(checkpoint(shapes))
    assert caught.value.message.count("extra.") <= 10


def test_another_network_is_refused() -> None:
    shapes: dict[str, tuple[int, ...]] = {"features.0.weight": (64, 3, 11, 11), "classifier.6.bias": (1000,)}
    with pytest.raises(ForeignCheckpoint):
        recognise(checkpoint(shapes))


def test_coco_has_its_names_and_an_own_training_its_own(shared: Path) -> None:
    assert recognise(checkpoint(shapes_of(shared, "v2"))).labels[:80] == COCO_LABELS
    shapes = dict(shapes_of(shared, "caffe"))
    for key, shape in shapes.items():
        if 81 in shape or 320 in shape or (key.startswith("roi_head.mask_head.conv_logits") and 80 in shape):
            sizes = {81: 4, 320: 12, 80: 3}
            shapes[key] = tuple(sizes.get(side, side) for side in shape)
    names = ("cup", "spoon", "plate")
    metas: list[dict[str, Any]] = [{"CLASSES": names}, {"dataset_meta": {"classes": names}}]
    for meta in metas:
        own = recognise(checkpoint(shapes, meta), Variant.MMDET_CAFFE)
        assert own.labels == names
    unnamed = recognise(checkpoint(shapes), Variant.MMDET_CAFFE)
    assert len(unnamed.labels) == 3


def test_torchvisions_older_names_are_renamed(shared: Path) -> None:
    old = {}
    for key, shape in shapes_of(shared, "v1").items():
        if key.endswith("num_batches_tracked"):
            continue
        name = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias") if "fpn." in key else key
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for i in range(4):
            name = name.replace(f"roi_heads.mask_head.{i}.0.", f"roi_heads.mask_head.mask_fcn{i + 1}.")
        old[name] = shape
    assert recognise(checkpoint(old), Variant.TORCHVISION_V1).variant is Variant.TORCHVISION_V1


def test_a_tensor_under_its_old_and_its_new_name_is_refused(shared: Path) -> None:
    shapes = shapes_of(shared, "v1")
    twice = {**shapes, "rpn.head.conv.weight": shapes["rpn.head.conv.0.0.weight"]}
    with pytest.raises(ForeignCheckpoint, match="older"):
        recognise(checkpoint(twice), Variant.TORCHVISION_V1)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "model.module."])
def test_what_training_puts_before_all_names_is_left_out(shared: Path, prefix: str) -> None:
    shapes = {f"{prefix}{name}": shape for name, shape in shapes_of(shared, "v2").items()}
    assert recognise(checkpoint(shapes)).variant is Variant.TORCHVISION_V2


def test_the_second_set_of_weights_that_averaging_leaves_is_left_out(shared: Path) -> None:
    shapes = shapes_of(shared, "caffe")
    second = {f"ema_{name.replace('.', '_')}": shape for name, shape in shapes.items()}
    assert recognise(checkpoint({**shapes, **second}), Variant.MMDET_CAFFE).tensors.keys() == shapes.keys()


@pytest.mark.parametrize(
    ("layout", "classes"), [("caffe", 1), ("caffe", 2), ("caffe", 20), ("v1", 1), ("v2", 20)]
)
def test_any_number_of_classes_is_read_off_the_tensors(shared: Path, layout: str, classes: int) -> None:
    own = recognise(checkpoint(with_classes(shapes_of(shared, layout), layout, classes)), VARIANTS[layout])
    assert own.classes == tuple(range(classes))
    assert own.labels == tuple(f"class {i}" for i in range(1, classes + 1))


def test_the_name_of_a_single_class_may_stand_alone(shared: Path) -> None:
    shapes = with_classes(shapes_of(shared, "caffe"), "caffe", 1)
    assert recognise(checkpoint(shapes, {"CLASSES": "cup"}), Variant.MMDET_CAFFE).labels == ("cup",)


VARIANTS = {
    "caffe": Variant.MMDET_CAFFE,
    "v1": Variant.TORCHVISION_V1,
    "v2": Variant.TORCHVISION_V2,
}


def with_classes(
    shapes: Mapping[str, tuple[int, ...]], layout: str, classes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model of so many classes instead of COCO's."""
    logits, others = classes + 1, classes if layout == "caffe" else classes + 1
    rows = {
        "fc_cls": logits,
        "fc_reg": 4 * others,
        "conv_logits": others,
        "cls_score": logits,
        "box_predictor.bbox_pred": 4 * others,
        "mask_fcn_logits": others,
    }
    changed = dict(shapes)
    for name, shape in shapes.items():
        for part, count in rows.items():
            if f".{part}." in name:
                changed[name] = (count, *shape[1:])
    return changed


def shapes_in(layout: Layout, classes: int = 3) -> dict[str, tuple[int, ...]]:
    return {name: shape for layer in layers(layout, classes) for name, shape in layer.tensors().items()}


def test_detectron2s_names_are_known_with_the_buffers_of_its_older_versions() -> None:
    shapes = shapes_in(Layout.DETECTRON2)
    old = {"pixel_mean": (3, 1, 1), "proposal_generator.anchor_generator.cell_anchors.4": (3, 4)}
    for tensors in (shapes, {**shapes, **old, "pixel_std": (3, 1, 1)}):
        options = {"image_std": [1, 1, 1]}  # zeros here
        found = recognise(checkpoint(tensors), options=options)
        assert found.variant is Variant.DETECTRON2
        assert found.options.get("image_mean", (0, 0, 0)) == (0, 0, 0)
        assert len(found.labels) == 3


def test_detectron2s_names_may_begin_later_where_the_file_asks_for_matching_them() -> None:
    short = {name.removeprefix("backbone.bottom_up."): s for name, s in shapes_in(Layout.DETECTRON2).items()}
    short = {name.removeprefix("proposal_generator."): shape for name, shape in short.items()}
    assert recognise(checkpoint(short, {"matching_heuristics": True})).variant is Variant.DETECTRON2
    with pytest.raises(ForeignCheckpoint):
        recognise(checkpoint(short))


EPSILONS: list[tuple[int, bool, dict[str, Any], Variant, str]] = [
    (3, True, {}, Variant.TORCHVISION_V1_EPS, "count their batches"),
    (3, False, {}, Variant.TORCHVISION_V1_EPS, "it has 3 classes"),
    (90, False, {}, Variant.TORCHVISION_V1, "looks like torchvision's published weights"),
    (90, False, {"optimizer": {}, "epoch": 3}, Variant.TORCHVISION_V1_EPS, "saved by a training of its own"),
    (90, False, {"args": {"weights": None}}, Variant.TORCHVISION_V1_EPS, "without torchvision's published"),
    (3, False, {"args": {"weights": "COCO_V1"}}, Variant.TORCHVISION_V1, "with torchvision's published"),
    (3, False, {"args": {"pretrained": True}}, Variant.TORCHVISION_V1, "with torchvision's published"),
]


@pytest.mark.parametrize(("classes", "has_counters", "meta", "variant", "why"), EPSILONS)
def test_the_epsilon_is_decided_by_what_the_file_tells_and_the_other_one_is_said(
    *, classes: int, has_counters: bool, meta: dict[str, Any], variant: Variant, why: str
) -> None:
    shapes = shapes_in(Layout.TORCHVISION_V1, classes)
    if has_counters:
        shapes["backbone.body.bn1.num_batches_tracked"] = ()
    found = recognise(checkpoint(shapes, meta))
    assert found.variant is variant
    (note,) = [note for note in found.notes if "epsilon" in note]
    assert why in note
    if has_counters:
        assert "--variant" not in note
    else:
        (other,) = {Variant.TORCHVISION_V1, Variant.TORCHVISION_V1_EPS} - {found.variant}
        assert f"--variant {other};" in note
        assert "models check" in note


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("rpn_head.rpn_cls.weight", "bbox_head.fc_cls.weight"), "MMDetection 1"),
        (("conv1_w", "res2_0_branch2a_w"), "Detectron 1"),
        (("backbone.body.conv1.weight", "roi_heads.box_predictor.cls_score.weight"), "Faster R-CNN"),
        (("roi_head.bbox_head.0.fc_cls.weight", "roi_head.mask_head.0.conv_logits.weight"), "Cascade"),
        (("roi_heads.keypoint_head.0.weight",), "Keypoint"),
        (("rpn_head.rpn_cls.weight", "roi_head.bbox_head.fc_cls.weight"), "Faster R-CNN"),
        (
            ("backbone.patch_embed.weight", "roi_head.mask_head.conv_logits.weight"),
            "it has besides backbone.patch",
        ),
        (("bbox_head.retina_cls.weight",), "RetinaNet"),
        (("transformer.encoder.layers.0.weight", "class_embed.weight"), "DETR"),
        (("model.0.conv.weight", "model.2.cv1.conv.weight"), "YOLO"),
        (("conv1.weight", "layer4.2.conv3.weight", "fc.weight"), "a ResNet alone"),
        (("backbone.stem.0.conv.weight", "bbox_head.head_module.rtm_cls.0.weight"), "MMYOLO"),
        (("backbone.stem.0.conv.weight", "backbone.stage4.2.attention.fc.weight"), "RTMDet's backbone"),
    ],
)
def test_another_network_is_called_by_its_name(names: tuple[str, ...], what: str) -> None:
    with pytest.raises(ForeignCheckpoint, match=what):
        recognise(checkpoint(dict.fromkeys(names, (1,))))


def test_labels_and_options_that_are_given_are_taken() -> None:
    found = recognise(
        checkpoint(shapes_in(Layout.TORCHVISION_V2)), labels=["a", "b", "c"], options={"min_size": "640"}
    )
    assert found.labels == ("a", "b", "c")
    assert found.options == {"min_size": 640}
    assert any("min_size 640" in note for note in found.notes)


def test_what_mmdetections_configuration_sets_otherwise_is_an_option_and_said() -> None:
    config = "model = dict(backbone=dict(style='pytorch'), test_cfg=dict(rcnn=dict(max_per_img=300)))"
    found = recognise(checkpoint(shapes_in(Layout.MMDET), {"meta": {"cfg": config}}))
    assert found.options == {"box_detections_per_img": 300}
    assert any("box_detections_per_img 300" in note for note in found.notes)
