"""MMDetection, exported by mmdeploy's own `torch2onnx`; see `common.py`.

Of mmcv the edition without compiled operators is enough: the one that is needed is torchvision's here.
"""

import functools
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import mmdet
import numpy as np
import torch
import torchvision
from mmengine.config import Config

from tests.detectors.onnx.programs.common import arguments, know_pictures, rescale, write_found

SIDE = 320


class Operators(types.ModuleType):
    """What mmcv's compiled part would have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def nms(self, boxes: Any, scores: Any, iou_threshold: float, offset: int) -> Any:
        """Return the numbers of the boxes that are kept."""
        assert offset == 0
        return torchvision.ops.nms(boxes, scores, iou_threshold)


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    operators = Operators("mmcv._ext")
    operators.__spec__ = ModuleSpec("mmcv._ext", None)
    sys.modules["mmcv._ext"] = operators
    # Its code is older than the exporter that is usual now.
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    from mmdeploy.apis import torch2onnx  # after that
    from mmdet.apis import inference_detector, init_detector  # after that
    from mmdet.models.task_modules.prior_generators import MlvlPointGenerator  # after that

    # What mmdeploy exports of masks asks for its places on a graphics processor.
    places = MlvlPointGenerator.single_level_grid_priors
    MlvlPointGenerator.single_level_grid_priors = functools.partialmethod(places, device="cpu")

    torch.manual_seed(7)
    config = Config.fromfile(
        Path(mmdet.__file__).parent / ".mim" / "configs" / "rtmdet" / f"{asked['network']}.py"
    )
    config.model.backbone.init_cfg = None
    for step in config.test_pipeline:
        if step.type in {"Resize", "Pad"}:
            step["scale" if step.type == "Resize" else "size"] = (SIDE, SIDE)
    config.test_dataloader.dataset.pipeline = config.test_pipeline
    model = init_detector(config, None, device="cpu").eval()
    arrays = [np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]) for picture in pictures]

    def run() -> Any:
        return inference_detector(model, arrays[0])

    know_pictures(model, run)
    head = model.bbox_head
    has_masks = hasattr(head, "rtm_kernel")
    for layer in head.rtm_cls:
        rescale(layer, run, -8, 2)
    # Small boxes: the export suppresses before they are cut at the picture's borders, MMDetection after it.
    for layer in head.rtm_reg:
        rescale(layer, run, 0.4, 0.1)
    for layer in getattr(head, "rtm_kernel", []):
        rescale(layer, run, 0, 1)
    found = []
    for result in inference_detector(model, arrays):
        objects = result.pred_instances
        objects = objects[objects.scores >= 0.25]
        found.append(
            {
                "boxes": objects.bboxes,
                "scores": objects.scores,
                "classes": objects.labels,
                "masks": objects.masks if has_masks else None,
            }
        )
    write_found(folder, found)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "model.pth")
    deployed = Config(
        {
            "onnx_config": {
                "type": "onnx",
                "export_params": True,
                "keep_initializers_as_inputs": False,
                "opset_version": 11,
                "save_file": "end2end.onnx",
                "input_names": ["input"],
                "output_names": ["dets", "labels", *(["masks"] if has_masks else [])],
                "input_shape": (SIDE, SIDE),
                "optimize": False,
            },
            "codebase_config": {
                "type": "mmdet",
                "task": "ObjectDetection",
                "model_type": "end2end",
                "post_processing": {
                    "score_threshold": 0.05,
                    "confidence_threshold": 0.005,
                    "iou_threshold": 0.5,
                    "max_output_boxes_per_class": 200,
                    "pre_top_k": 5000,
                    "keep_top_k": 100,
                    "background_label_id": -1,
                    "export_postprocess_mask": False,
                },
            },
            "backend_config": {"type": "onnxruntime"},
        }
    )
    torch2onnx(arrays[0], str(folder), "model.onnx", deployed, config, str(folder / "model.pth"), "cpu")


main()
