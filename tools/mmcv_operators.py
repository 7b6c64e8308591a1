"""torchvision's operators in place of mmcv's compiled ones, which follow the same rules."""

import sys
import types
from typing import Any


def put_torchvisions_operators_in() -> None:
    """Let mmdet import what mmcv-lite has not got; of it only these are called."""
    import mmcv
    import torch
    import torchvision.ops

    class Operators(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    def batched_nms(boxes: Any, scores: Any, labels: Any, given: Any, **_: Any) -> tuple[Any, Any]:
        kept = torchvision.ops.batched_nms(boxes, scores, labels, given["iou_threshold"])
        kept = kept[: given.get("max_num", len(kept))]
        return torch.cat([boxes[kept], scores[kept, None]], dim=1), kept

    class RoIAlign(torch.nn.Module):
        def __init__(self, output_size: int, spatial_scale: float, sampling_ratio: int = 0) -> None:
            super().__init__()
            self.output_size = (output_size, output_size)
            self.spatial_scale, self.sampling_ratio = spatial_scale, sampling_ratio

        def forward(self, features: Any, rois: Any) -> Any:
            options = {"sampling_ratio": self.sampling_ratio or -1, "aligned": True}
            return torchvision.ops.roi_align(
                features, rois, self.output_size, spatial_scale=self.spatial_scale, **options
            )

    mmcv.ops = Operators("mmcv.ops")
    mmcv.ops.__path__ = []
    sys.modules["mmcv.ops"] = mmcv.ops
    for name in (
        "carafe",
        "merge_cells",
        "modulated_deform_conv",
        "multi_scale_deform_attn",
        "nms",
        "roi_align",
    ):
        sys.modules[f"mmcv.ops.{name}"] = Operators(f"mmcv.ops.{name}")
    parts: list[Any] = [mmcv.ops, sys.modules["mmcv.ops.nms"], sys.modules["mmcv.ops.roi_align"]]
    for part in parts:
        part.batched_nms, part.RoIAlign = batched_nms, RoIAlign
