"""YOLOv5, from its repository, exported by its own command; see `common.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import run as export_by_command
from models.yolo import DetectionModel, SegmentationModel
from utils.augmentations import letterbox
from utils.general import non_max_suppression, scale_boxes
from utils.segment.general import process_mask_native

import models
from tests.detectors.onnx.programs.common import (
    arguments,
    know_pictures,
    rescale,
    rows_of_anchors,
    write_found,
)


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    name, is_open, side = asked["network"], bool(asked.get("open")), asked.get("side", 320)
    has_masks = name.endswith("-seg")
    configs = Path(models.__file__).parent
    config = next(configs.rglob(f"{name}.yaml"))
    model = (SegmentationModel if has_masks else DetectionModel)(str(config)).eval()
    model.names = [f"class {i}" for i in range(80)]
    stride = int(model.stride.max())
    arrays = [np.asarray(picture)[:, :, ::-1] for picture in pictures]

    def prepared(array: Any, *, auto: bool) -> Any:
        padded = letterbox(array, side, stride=stride, auto=auto)[0][:, :, ::-1].transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(padded))[None].float() / 255

    batch = torch.cat([prepared(array, auto=False) for array in arrays])

    def run() -> Any:
        return model(batch)

    know_pictures(model, run)
    head = model.model[-1]
    for layer in head.m:
        rescale(layer, run, *rows_of_anchors(3, 80, head.no - 85))
    found = []
    with torch.no_grad():
        for array in arrays:
            one = prepared(array, auto=is_open)
            answers = model(one)
            (rows,) = non_max_suppression(answers[0], 0.25, 0.45, max_det=300, nm=head.no - 85)
            boxes = scale_boxes(one.shape[2:], rows[:, :4], array.shape)
            masks = None
            if has_masks:
                masks = process_mask_native(answers[1][0], rows[:, 6:], boxes, array.shape[:2])
            found.append({"boxes": boxes, "scores": rows[:, 4], "classes": rows[:, 5], "masks": masks})
    write_found(folder, found)
    saved = folder / "model.pt"
    torch.save({"model": model}, saved)
    export_by_command(
        weights=saved, imgsz=(side, side), include=("onnx",), dynamic=is_open, simplify=True, opset=17
    )


main()
