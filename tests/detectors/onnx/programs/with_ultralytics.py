"""Ultralytics, exported and asked by its own `export` and `predict`; see `common.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics import RTDETR, YOLO
from ultralytics.data.augment import LetterBox

from tests.detectors.onnx.programs.common import (
    Run,
    arguments,
    know_pictures,
    rescale,
    small_distances,
    write_found,
)

SIDE = 320


def tuned(network: str, pictures: list[Any]) -> Any:
    """Return a network whose batch norms know the pictures and whose scores and boxes spread over them."""
    torch.manual_seed(7)
    model = RTDETR(network) if network.startswith("rtdetr") else YOLO(network)
    net = model.model.eval()
    inputs = [LetterBox((SIDE, SIDE), auto=False)(image=picture) for picture in pictures]
    batch = torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2).float() / 255

    def run() -> None:
        net.predict(batch)

    know_pictures(net, run)
    spread(net.model[-1], run)
    return model


def spread(head: Any, run: Run) -> None:
    """Have the logits of classes and the distances spread as trained ones do."""
    bins = getattr(head, "reg_max", 1)
    distances = (4, 1) if bins == 1 else (small_distances(bins), 0.5)
    for names, (mean, std) in ((("cv3", "one2one_cv3"), (-7, 2)), (("cv2", "one2one_cv2"), distances)):
        for tower in (tower for name in names for tower in getattr(head, name, None) or []):
            rescale(tower[-1], run, mean, std)
    for layer in getattr(head, "dec_score_head", []):
        rescale(layer, run, -6, 2)


def main() -> None:
    """Export and predict."""
    folder, images, export = arguments()
    pictures = [np.asarray(image)[:, :, ::-1] for image in images]
    network, options = export["network"], export["options"]
    kind = RTDETR if network.startswith("rtdetr") else YOLO
    saved = folder / "model.pt"
    tuned(network, pictures).save(saved)
    written = Path(kind(saved).export(**{"format": "onnx", "imgsz": SIDE, **options}))
    if written.is_dir():
        written.rename(folder / "model")
    found = []
    model = kind(saved)
    if options.get("half"):
        model.model.fuse().half().float()  # the numbers that the export has
    for picture in pictures:
        (result,) = model.predict(
            np.ascontiguousarray(picture),
            imgsz=SIDE,
            rect=bool(options.get("dynamic")),
            conf=0.25,
            retina_masks=True,
            verbose=False,
            **{name: value for name, value in options.items() if name == "end2end"},
        )
        boxes, masks = result.boxes, result.masks
        found.append(
            {
                "boxes": boxes.xyxy,
                "scores": boxes.conf,
                "classes": boxes.cls.int(),
                "masks": None if masks is None else masks.data.numpy(),
            }
        )
    write_found(folder, found)


main()
