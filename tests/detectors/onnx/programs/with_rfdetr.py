"""RF-DETR and RF-DETR-Seg; see `common.py`."""

import os
from pathlib import Path

import numpy as np
import rfdetr
import torch

from tests.detectors.onnx.programs.common import arguments, rescale, write_found


def main() -> None:
    """Export and detect."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    detector = getattr(rfdetr, asked["network"])(
        pretrain_weights=None, device="cpu", num_classes=asked["classes"]
    )
    model = detector.model.model.eval()

    def run() -> None:
        detector.predict(pictures[0], threshold=0.0)

    heads = [module for name, module in model.named_modules() if name.split(".")[-1] == "class_embed"]
    for head in heads:
        rescale(head, run, -7, 2)
    found = []
    for picture in pictures:
        result = detector.predict(picture, threshold=0.25)
        found.append(
            {
                "boxes": result.xyxy.clip(0, [picture.width, picture.height] * 2),
                "scores": result.confidence,
                "classes": np.asarray(result.class_id) - (1 if asked["classes"] == 90 else 0),
                "masks": result.mask,
            }
        )
    write_found(folder, found)
    detector.export(output_dir=str(folder / "export"), verbose=False)
    next((folder / "export").glob("*.onnx")).rename(Path(folder) / "model.onnx")


main()
