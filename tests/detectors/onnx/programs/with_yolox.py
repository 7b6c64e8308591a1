"""YOLOX (the package pixeltable-yolox, which keeps its code), as its demo detects; see `common.py`."""

from typing import Any

import numpy as np
import torch
from yolox.config import YoloxConfig
from yolox.data import ValTransform
from yolox.models.network_blocks import SiLU
from yolox.utils import postprocess, replace_module

from tests.detectors.onnx.programs.common import arguments, export, know_pictures, rescale, write_found

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    config = YoloxConfig.get_named_config(asked["network"])
    config.test_size = (SIDE, SIDE)
    model = config.get_model().eval()
    arrays = [np.asarray(picture)[:, :, ::-1] for picture in pictures]
    batch = [torch.from_numpy(ValTransform(legacy=False)(one, None, (SIDE, SIDE))[0])[None] for one in arrays]

    def run() -> Any:
        return model(torch.cat(batch))

    know_pictures(model, run)
    for layers, mean, std in (
        (model.head.cls_preds, -2, 2),
        (model.head.obj_preds, -4, 2),
        (model.head.reg_preds, 0.7, 0.7),
    ):
        for layer in layers:
            rescale(layer, run, mean, std)
    found = []
    with torch.no_grad():
        for array, one in zip(arrays, batch, strict=True):
            ratio = min(SIDE / array.shape[0], SIDE / array.shape[1])
            (rows,) = postprocess(model(one), 80, 0.25, 0.45, class_agnostic=False)
            rows = torch.zeros((0, 7)) if rows is None else rows
            found.append(
                {
                    "boxes": clipped(rows[:, :4] / ratio, array),
                    "scores": rows[:, 4] * rows[:, 5],
                    "classes": rows[:, 6],
                }
            )
        # As its own command does.
        model = replace_module(model, torch.nn.SiLU, SiLU)
        model.head.decode_in_inference = False
        export(model, (batch[0],), folder, ["images"], ["output"], opset_version=11)
    write_found(folder, found)


def clipped(boxes: Any, picture: Any) -> Any:
    """Return boxes cut at the picture's borders."""
    limits = torch.tensor([picture.shape[1], picture.shape[0]] * 2)
    return torch.minimum(boxes.clamp(min=0), limits)


main()
