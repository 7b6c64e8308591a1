"""What MMDetection's configuration says of a model's use: options, or a refusal of what can't be followed."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from flask_detector.errors import ForeignCheckpoint

# What is the same in all models here: where it stands in the configuration's "model", and the values of it.
_FIXED: tuple[tuple[tuple[str, ...], tuple[Any, ...]], ...] = (
    (("backbone", "type"), ("ResNet",)),
    (("backbone", "depth"), (50,)),
    (("rpn_head", "anchor_generator", "strides"), ([4, 8, 16, 32, 64],)),
    (("rpn_head", "anchor_generator", "center_offset"), (0, 0.0)),
    (("rpn_head", "bbox_coder", "target_means"), ([0, 0, 0, 0],)),
    (("rpn_head", "bbox_coder", "target_stds"), ([1, 1, 1, 1],)),
    (("rpn_head", "loss_cls", "use_sigmoid"), (True,)),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "type"), ("RoIAlign",)),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "sampling_ratio"), (0,)),
    (("roi_head", "bbox_roi_extractor", "roi_layer", "aligned"), (True,)),
    (("roi_head", "bbox_roi_extractor", "finest_scale"), (56,)),
    (("roi_head", "mask_roi_extractor", "roi_layer", "type"), ("RoIAlign",)),
    (("roi_head", "mask_roi_extractor", "roi_layer", "sampling_ratio"), (0,)),
    (("roi_head", "bbox_head", "bbox_coder", "target_means"), ([0, 0, 0, 0],)),
    (("roi_head", "bbox_head", "bbox_coder", "target_stds"), ([0.1, 0.1, 0.2, 0.2],)),
    (("roi_head", "bbox_head", "loss_cls", "use_sigmoid"), (False,)),
    (("test_cfg", "rpn", "min_bbox_size"), (0,)),
    (("test_cfg", "rpn", "nms", "type"), ("nms",)),
    (("test_cfg", "rpn", "nms_across_levels"), (False,)),
    (("test_cfg", "rcnn", "nms", "type"), ("nms",)),
    (("test_cfg", "rcnn", "mask_thr_binary"), (0.5,)),
    (("data_preprocessor", "pad_size_divisor"), (32,)),
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
    differences = [
        f"{'.'.join(path)} is {_at(model, path)}, not {values[0]}"
        for path, values in _FIXED
        if _at(model, path) is not None and _at(model, path) not in values
    ]
    found = {
        option: next((n for n in (_at(model["test_cfg"], path) for path in paths) if n is not None), None)
        for option, paths in _NUMBERS.items()
    }
    found |= _anchors(model, differences) | _normalisation(config, model) | _size(config, differences)
    if differences:
        raise ForeignCheckpoint(
            f"Its configuration asks for what is not done here: {'; '.join(differences)}.",
            hint="Only MMDetection itself can use this one.",
        )
    return {option: value for option, value in found.items() if value is not None}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at a path of keys, None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _anchors(model: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
    scales = _at(model, ("rpn_head", "anchor_generator", "scales"))
    ratios = _at(model, ("rpn_head", "anchor_generator", "ratios"))
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


def _normalisation(config: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    steps = (step for step in _steps(config) if step.get("type") == "Normalize")
    stated: dict[str, Any] = next(
        (
            one
            for one in (model.get("data_preprocessor"), *steps, config.get("img_norm_cfg"))
            if _has_mean(one)
        ),
        {},
    )
    to_rgb = stated.get("bgr_to_rgb", stated.get("to_rgb"))
    return {
        "image_mean": stated.get("mean"),
        "image_std": stated.get("std"),
        "bgr": None if to_rgb is None else not to_rgb,
    }


def _has_mean(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("mean"), list)


def _size(config: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
    for step in _steps(config):
        # Version 3 has it in Resize, version 2 in the step around that.
        scale = step.get("scale") if step.get("type") == "Resize" else step.get("img_scale")
        if step.get("type") == "Resize" and step.get("keep_ratio") is False:
            differences.append("Resize does not keep the ratio of the sides")
        if isinstance(scale, list) and len(scale) == 2 and all(isinstance(side, int) for side in scale):
            return {"min_size": min(scale), "max_size": max(scale)}
    return {}


def _steps(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of the pipeline that prepares a picture for testing, with those within them."""
    waiting = config.get("test_pipeline")
    if not isinstance(waiting, list):
        waiting = _at(config, ("data", "test", "pipeline"))
    waiting = list(waiting) if isinstance(waiting, list) else []
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, dict):
            yield step
            inner = step.get("transforms")
            waiting = [*inner, *waiting] if isinstance(inner, list) else waiting
