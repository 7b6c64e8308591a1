"""What MMDetection's configuration says of a model's use: options, or a refusal of what can't be followed."""

from collections.abc import Mapping
from typing import Any

from flask_detector.detectors.checkpoint.mmdet_config import (
    at,
    differing,
    first_at,
    normalisation_in,
    refuse_if,
    size_for_testing,
)

# What is the same in all models here, by where it stands in the configuration's "model".
_FIXED: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("backbone", "type"), "ResNet"),
    (("backbone", "depth"), 50),
    (("rpn_head", "anchor_generator", "strides"), [4, 8, 16, 32, 64]),
    (("rpn_head", "anchor_generator", "center_offset"), 0),
    (("rpn_head", "bbox_coder", "target_means"), [0, 0, 0, 0]),
    (("rpn_head", "bbox_coder", "target_stds"), [1, 1, 1, 1]),
    (("rpn_head", "loss_cls", "use_sigmoid"), True),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "type"), "RoIAlign"),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "sampling_ratio"), 0),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "aligned"), True),
    (("roi_head", "bbox_roi_extractor", "finest_scale"), 56),
    (("roi_head", "mask_roi_extractor", "roi_layer", "type"), "RoIAlign"),
    (("roi_head", "mask_roi_extractor", "roi_layer", "sampling_ratio"), 0),
    (("roi_head", "bbox_head", "bbox_coder", "target_means"), [0, 0, 0, 0]),
    (("roi_head", "bbox_head", "bbox_coder", "target_stds"), [0.1, 0.1, 0.2, 0.2]),
    (("roi_head", "bbox_head", "loss_cls", "use_sigmoid"), False),
    (("test_cfg", "rpn", "min_bbox_size"), 0),
    (("test_cfg", "rpn", "nms", "type"), "nms"),
    (("test_cfg", "rpn", "nms_across_levels"), False),
    (("test_cfg", "rcnn", "nms", "type"), "nms"),
    (("test_cfg", "rcnn", "mask_thr_binary"), 0.5),
    (("data_preprocessor", "pad_size_divisor"), 32),
)

# Which option a number of "test_cfg" is; the first that is there counts. Names are those of versions 2 and 3.
_NUMBERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "rpn_pre_nms_top_n": (("rpn", "nms_pre"),),
    "rpn_post_nms_top_n": (("rpn", "max_per_img"), ("rpn", "max_num")),
    "rpn_nms_thresh": (("rpn", "nms", "iou_threshold"), ("rpn", "nms_thr")),
    "box_score_thresh": (("rcnn", "score_thr"),),
    "box_nms_thresh": (("rcnn", "nms", "iou_threshold"), ("rcnn", "nms", "iou_thr")),
    "box_detections_per_img": (("rcnn", "max_per_img"),),
}


def options_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a configuration sets. What it does not state is as usual.

    Raises ForeignCheckpoint with the list of what it asks for that is not done here.
    """
    model = config.get("model")
    model = dict(model) if isinstance(model, dict) else {}
    # In version 2.0 it stood at the top.
    model.setdefault("test_cfg", config.get("test_cfg"))
    differences = differing(model, _FIXED)
    found = {option: first_at(model["test_cfg"], paths) for option, paths in _NUMBERS.items()}
    found |= _anchors(model, differences)
    found |= normalisation_in(config)
    size = size_for_testing(config)
    if size is not None:
        found |= {"min_size": min(size), "max_size": max(size)}
    refuse_if(differences)
    return {option: value for option, value in found.items() if value is not None}


def _anchors(model: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
    scales = at(model, ("rpn_head", "anchor_generator", "scales"))
    ratios = at(model, ("rpn_head", "anchor_generator", "ratios"))
    found = {}
    if isinstance(scales, list) and len(scales) == 1 and isinstance(scales[0], int | float):
        found["anchor_sizes"] = [scales[0] * stride for stride in (4, 8, 16, 32, 64)]
    elif scales is not None:
        differences.append(f"rpn_head.anchor_generator.scales is {scales}, not a single one")
    if isinstance(ratios, list) and len(ratios) == 3:
        found["aspect_ratios"] = ratios
    elif ratios is not None:
        differences.append(f"rpn_head.anchor_generator.ratios is {ratios}, not three")
    return found
