"""What MMDetection's configuration asks for is done, or refused with the list of what is not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flask_detector.detectors.mask_rcnn.mmdet_options import options_in
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.errors import ForeignCheckpoint

# As MMDetection 3.3.0 has it, mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py.
VERSION_3: dict[str, Any] = {
    "model": {
        "backbone": {"type": "ResNet", "depth": 50, "style": "pytorch"},
        "data_preprocessor": {
            "bgr_to_rgb": True,
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "pad_size_divisor": 32,
        },
        "rpn_head": {
            "anchor_generator": {"scales": [8], "ratios": [0.5, 1.0, 2.0], "strides": [4, 8, 16, 32, 64]},
            "bbox_coder": {"target_means": [0.0, 0.0, 0.0, 0.0], "target_stds": [1.0, 1.0, 1.0, 1.0]},
        },
        "roi_head": {
            "bbox_head": {"bbox_coder": {"target_stds": [0.1, 0.1, 0.2, 0.2]}},
            "bbox_roi_extractor": {"roi_layer": {"type": "RoIAlign", "sampling_ratio": 0, "output_size": 7}},
        },
        "test_cfg": {
            "rpn": {
                "nms_pre": 1000,
                "max_per_img": 1000,
                "nms": {"type": "nms", "iou_threshold": 0.7},
                "min_bbox_size": 0,
            },
            "rcnn": {
                "score_thr": 0.05,
                "nms": {"type": "nms", "iou_threshold": 0.5},
                "max_per_img": 100,
                "mask_thr_binary": 0.5,
            },
        },
    },
    "test_pipeline": [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "keep_ratio": True, "scale": [1333, 800]},
    ],
}

# As files of 2020 have it.
VERSION_2_0: dict[str, Any] = {
    "model": {
        "backbone": {"type": "ResNet", "depth": 50, "style": "caffe"},
        "rpn_head": {"anchor_generator": {"scales": [8], "ratios": [0.5, 1.0, 2.0]}},
    },
    "img_norm_cfg": {"mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0], "to_rgb": False},
    "test_cfg": {
        "rpn": {
            "nms_across_levels": False,
            "nms_pre": 1000,
            "nms_post": 1000,
            "max_num": 1000,
            "nms_thr": 0.7,
            "min_bbox_size": 0,
        },
        "rcnn": {"score_thr": 0.05, "nms": {"type": "nms", "iou_thr": 0.5}, "max_per_img": 100},
    },
    "data": {"test": {"pipeline": [{"type": "MultiScaleFlipAug", "img_scale": [1333, 800]}]}},
}

Change = Callable[[dict[str, Any]], Any]


def changed(config: dict[str, Any], change: Change) -> dict[str, Any]:
    copied = copy.deepcopy(config)
    change(copied)
    return copied


@pytest.mark.parametrize(
    ("config", "variant"),
    [(VERSION_3, Variant.MMDET_PYTORCH), (VERSION_2_0, Variant.MMDET_CAFFE), ({}, None)],
)
def test_what_mmdetections_own_models_state_is_as_usual(
    config: dict[str, Any], variant: Variant | None
) -> None:
    usual = TRAITS[variant or Variant.MMDET_CAFFE].options
    assert usual.changed(options_in(config)).differences(usual) == {}


def resize(config: dict[str, Any]) -> None:
    config["test_pipeline"][1]["scale"] = [1024, 2048]


HONOURED: list[tuple[Change, dict[str, Any]]] = [
    (lambda c: c["model"]["test_cfg"]["rcnn"].update(score_thr=0.3), {"box_score_thresh": 0.3}),
    (lambda c: c["model"]["test_cfg"]["rcnn"].update(max_per_img=300), {"box_detections_per_img": 300}),
    (lambda c: c["model"]["test_cfg"]["rcnn"]["nms"].update(iou_threshold=0.3), {"box_nms_thresh": 0.3}),
    (lambda c: c["model"]["test_cfg"]["rpn"].update(nms_pre=2000), {"rpn_pre_nms_top_n": 2000}),
    (lambda c: c["model"]["test_cfg"]["rpn"].update(max_per_img=500), {"rpn_post_nms_top_n": 500}),
    (lambda c: c["model"]["test_cfg"]["rpn"]["nms"].update(iou_threshold=0.6), {"rpn_nms_thresh": 0.6}),
    (resize, {"min_size": 1024, "max_size": 2048}),
    (
        lambda c: c["model"]["rpn_head"]["anchor_generator"].update(scales=[4], ratios=[1.0, 2.0, 3.0]),
        {"anchor_sizes": (16, 32, 64, 128, 256), "aspect_ratios": (1, 2, 3)},
    ),
    (
        lambda c: c["model"]["data_preprocessor"].update(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=False),
        {"bgr": True, "image_mean": (1, 2, 3), "image_std": (4, 5, 6)},
    ),
]


@pytest.mark.parametrize(("change", "differences"), HONOURED)
def test_what_is_set_otherwise_becomes_an_option(change: Change, differences: dict[str, Any]) -> None:
    usual = TRAITS[Variant.MMDET_PYTORCH].options
    found = options_in(changed(VERSION_3, change))
    assert usual.changed(found).differences(usual) == differences


def test_all_that_is_not_done_here_is_listed() -> None:
    def change(config: dict[str, Any]) -> None:
        model = config["model"]
        model["backbone"]["depth"] = 101
        model["rpn_head"]["anchor_generator"]["scales"] = [4, 8]
        model["test_cfg"]["rcnn"]["nms"]["type"] = "soft_nms"
        model["test_cfg"]["rcnn"]["mask_thr_binary"] = 0.4
        model["roi_head"]["bbox_head"]["bbox_coder"]["target_stds"] = [0.05, 0.05, 0.1, 0.1]

    with pytest.raises(ForeignCheckpoint) as caught:
        options_in(changed(VERSION_3, change))
    for words in ("depth is 101, not 50", "[4, 8]", "soft_nms", "mask_thr_binary is 0.4", "target_stds"):
        assert words in caught.value.message


def test_a_resize_that_distorts_is_refused() -> None:
    with pytest.raises(ForeignCheckpoint, match="ratio of the sides"):
        options_in(changed(VERSION_3, lambda c: c["test_pipeline"][1].update(keep_ratio=False)))


@pytest.mark.parametrize("model", [None, 7, {"test_cfg": 3, "rpn_head": [1], "data_preprocessor": "no"}])
def test_a_configuration_of_something_else_states_nothing(model: object) -> None:
    assert options_in({"model": model, "test_pipeline": {"a": 1}, "img_norm_cfg": []}) == {}
