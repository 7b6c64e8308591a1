"""What MMDetection finds where its configuration was changed: the files of tests/detectors/changed_options/.

    python tools/mmdet_options_reference.py ../shared tests/detectors/changed_options

Run it where mmdet 3.3.0, mmengine, mmcv-lite and torchvision are installed (`mmcv_operators.py`). Each file
holds the configuration as MMDetection writes it into its checkpoints, and what is found in the apartment and
on the street.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.weights import Arrays, mask_rcnn_weights, rtmdet_weights
from tools.mmcv_operators import put_torchvisions_operators_in

PICTURES = ("apartment", "street")

_MASK_RCNN = "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
_CAFFE = "mask_rcnn/mask-rcnn_r50-caffe_fpn_ms-poly-3x_coco.py"
_RTMDET = "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py"
_RESIZE = "test_dataloader.dataset.pipeline.1.scale"
_CPU: dict[str, Any] = {"model.backbone.init_cfg": None}

# By the file's name: the configuration, the stand-in for its weights, and what is changed.
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mask_rcnn_anchors_and_size": (
        _MASK_RCNN,
        "mmdet/mask_rcnn_r50_fpn",
        {
            _RESIZE: (1000, 600),
            "model.rpn_head.anchor_generator.scales": [6],
            "model.rpn_head.anchor_generator.ratios": [0.4, 1.0, 2.5],
            "model.test_cfg.rpn.nms_pre": 600,
            "model.test_cfg.rpn.max_per_img": 400,
            "model.test_cfg.rpn.nms.iou_threshold": 0.6,
        },
    ),
    "mask_rcnn_thresholds_and_colours": (
        _CAFFE,
        "mmdet/mask_rcnn_r50_caffe_fpn",
        {
            "model.data_preprocessor.mean": [100.0, 110.0, 120.0],
            "model.data_preprocessor.std": [1.1, 1.2, 1.3],
            "model.data_preprocessor.bgr_to_rgb": True,
            "model.test_cfg.rcnn.score_thr": 0.1,
            "model.test_cfg.rcnn.nms.iou_threshold": 0.3,
            "model.test_cfg.rcnn.max_per_img": 20,
        },
    ),
    "rtmdet_ins_candidates": (
        _RTMDET,
        "tiny",
        {
            "model.test_cfg.nms_pre": 200,
            "model.test_cfg.nms.iou_threshold": 0.4,
            "model.test_cfg.max_per_img": 40,
        },
    ),
    "rtmdet_ins_thresholds": (
        _RTMDET,
        "tiny",
        {
            "model.test_cfg.score_thr": 0.2,
            "model.test_cfg.nms.iou_threshold": 0.75,
        },
    ),
}


def weights_of(shared: Path, name: str) -> Arrays:
    """Return the stand-in for a model's weights."""
    return mask_rcnn_weights(shared, name) if "/" in name else rtmdet_weights(shared, name)


def main() -> None:
    """Write a file for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    put_torchvisions_operators_in()
    import mmdet
    import pycocotools.mask as coco_mask
    import torch
    from mmdet.apis import inference_detector, init_detector
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules()
    for name, (config, weights, changes) in CASES.items():
        path = Path(mmdet.__file__).parent / ".mim" / "configs" / config
        changed = Config.fromfile(path)
        changed.merge_from_dict({**_CPU, **changes})
        model = init_detector(changed, device="cpu", palette="coco")
        arrays = weights_of(options.shared, weights)
        model.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        found: dict[str, Any] = {"config": np.array(changed.pretty_text)}
        for picture in PICTURES:
            instances = inference_detector(
                model, str(options.shared / f"pictures/{picture}.jpg")
            ).pred_instances
            scores = instances.scores.numpy()
            print(name, picture, len(scores), scores.max(initial=0))
            found[f"{picture}.boxes"] = instances.bboxes.numpy()
            found[f"{picture}.scores"] = scores
            found[f"{picture}.labels"] = instances.labels.numpy().astype(np.uint8)
            if "/" not in weights:
                continue  # the masks of RTMDet-Ins depend on none of these
            masks = np.asfortranarray(instances.masks.numpy().astype(np.uint8).transpose(1, 2, 0))
            found[f"{picture}.counts"] = np.array([one["counts"] for one in coco_mask.encode(masks)], "S")
        np.savez_compressed(options.folder / f"{name}.npz", **found)


if __name__ == "__main__":
    main()
