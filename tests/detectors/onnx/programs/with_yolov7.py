"""YOLOv7, from its repository, exported by its own command; see `common.py`."""

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models.yolo import Model
from utils.datasets import letterbox
from utils.general import non_max_suppression, scale_coords

import models
from tests.detectors.onnx.programs.common import (
    arguments,
    know_pictures,
    rescale,
    rows_of_anchors,
    write_found,
)

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    repository = Path(models.__file__).parents[1]
    classes = asked.get("classes", 80)
    config = repository / "cfg" / "deploy" / f"{asked['network']}.yaml"
    model = Model(str(config), nc=classes).eval()
    model.names = [f"class {i}" for i in range(classes)]
    arrays = [np.asarray(picture)[:, :, ::-1] for picture in pictures]
    batch = []
    for array in arrays:
        padded = letterbox(array, SIDE, stride=32, auto=False)[0][:, :, ::-1].transpose(2, 0, 1)
        batch.append(torch.from_numpy(np.ascontiguousarray(padded))[None].float() / 255)

    def run() -> Any:
        return model(torch.cat(batch))

    know_pictures(model, run)
    for layer in model.model[-1].m:
        rescale(layer, run, *rows_of_anchors(3, classes))
    saved = folder / "model.pt"
    torch.save({"model": model}, saved)
    found = []
    with torch.no_grad():
        for array, one in zip(arrays, batch, strict=True):
            (rows,) = non_max_suppression(model(one)[0], 0.25, 0.45)
            boxes = scale_coords(one.shape[2:], rows[:, :4], array.shape)
            found.append({"boxes": boxes, "scores": rows[:, 4], "classes": rows[:, 5]})
    write_found(folder, found)
    sys.argv = ["export.py", "--weights", str(saved), "--img-size", str(SIDE), "--grid", *asked["options"]]
    # Its code is older than PyTorch's refusal of classes in a file, and than the exporter that is usual now.
    load, write = torch.load, torch.onnx.export
    torch.load = lambda *given, **more: load(*given, **more, weights_only=False)
    torch.onnx.export = lambda *given, **more: write(*given, **more, dynamo=False)
    runpy.run_path(str(repository / "export.py"), run_name="__main__")


main()
