"""YOLOv9 (the package yolo9, which keeps its code); see `common.py`."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yolo9
from yolo9.export import export_onnx
from yolo9.models.yolo import DetectionModel
from yolo9.utils.augmentations import letterbox
from yolo9.utils.general import non_max_suppression, scale_boxes

from tests.detectors.onnx.programs.common import (
    arguments,
    know_pictures,
    rescale,
    small_distances,
    write_found,
)

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    configs = Path(yolo9.__file__).parent / "models" / "detect"
    model = DetectionModel(str(configs / f"{asked['network']}.yaml"), ch=3, nc=80).eval()
    arrays = [np.asarray(picture)[:, :, ::-1] for picture in pictures]
    batch = []
    for array in arrays:
        padded = letterbox(array, SIDE, stride=32, auto=False)[0][:, :, ::-1].transpose(2, 0, 1)
        batch.append(torch.from_numpy(np.ascontiguousarray(padded))[None].float() / 255)

    def run() -> Any:
        return model(torch.cat(batch))

    know_pictures(model, run)
    head = model.model[-1]
    for tower in head.cv3:
        rescale(tower[-1], run, -7, 2)
    for tower in head.cv2:
        rescale(tower[-1], run, small_distances(head.reg_max), 0.5)
    found = []
    with torch.no_grad():
        for array, one in zip(arrays, batch, strict=True):
            answers = model(one)[0]
            answers = answers[-1] if isinstance(answers, list) else answers
            (rows,) = non_max_suppression(answers, 0.25, 0.45, max_det=300)
            boxes = scale_boxes(one.shape[2:], rows[:, :4], array.shape)
            found.append({"boxes": boxes, "scores": rows[:, 4], "classes": rows[:, 5]})
        head.export = True
        # Its command leaves the choice to PyTorch, whose newer exporter fails on it.
        torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
        export_onnx(model, batch[0], folder / "model.onnx", 17, False, False)
    write_found(folder, found)


main()
