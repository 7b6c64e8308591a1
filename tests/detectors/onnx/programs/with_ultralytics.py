"""Ultralytics makes a network with random weights, exports it, and says what its own `predict` finds.

Arguments: a folder; a JSON of pictures' paths; a JSON of `network` and `options` of the export. Writes there
`model.onnx` or the folder `model`, `found.json`, and `masks-<picture>.npz` where there are masks.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from ultralytics import RTDETR, YOLO
from ultralytics.data.augment import LetterBox

SIDE = 320


def tuned(network: str, pictures: list[Any]) -> Any:
    """Return a network whose batch norms know the pictures and whose scores and boxes spread over them."""
    torch.manual_seed(7)
    model = RTDETR(network) if network.startswith("rtdetr") else YOLO(network)
    net = model.model
    inputs = [LetterBox((SIDE, SIDE), auto=False)(image=picture) for picture in pictures]
    batch = torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2).float() / 255
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
        norm.train()
    with torch.no_grad():
        for _ in range(6):
            net.predict(batch) if hasattr(net, "predict") else net(batch)
    net.eval()
    head = net.model[-1]
    with torch.no_grad():
        spread(head, net, batch)
    return model


def spread(head: Any, net: Any, batch: Any) -> None:
    """Have the logits of classes, and distances that are no distributions, spread as trained ones do."""
    is_plain = getattr(head, "reg_max", 16) == 1
    for names, mean, std in ((("cv3", "one2one_cv3"), -6, 2), (("cv2", "one2one_cv2"), 4, 1)):
        if names[0] == "cv2" and not is_plain:
            continue
        for tower in (tower for name in names for tower in getattr(head, name, None) or []):
            rescale(tower[-1], net, batch, mean, std)
    for layer in getattr(head, "dec_score_head", []):
        rescale(layer, net, batch, -6, 2)


def rescale(layer: Any, net: Any, batch: Any, mean: float, std: float) -> None:
    """Change a layer so that each of its outputs has that mean and standard deviation over a batch."""
    seen: list[Any] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    net(batch)
    hook.remove()
    if not seen:
        return
    dims = [0, 2, 3] if seen[0].dim() == 4 else [0, 1]
    factor = std / (seen[0].std(dims) + 1e-6)
    layer.weight.mul_(factor.view((-1,) + (1,) * (layer.weight.dim() - 1)))
    layer.bias.copy_((layer.bias - seen[0].mean(dims)) * factor + mean)


def main() -> None:
    """Export and predict."""
    folder, paths, export = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    pictures = [np.asarray(Image.open(path).convert("RGB"))[:, :, ::-1] for path in paths]
    network, options = export["network"], export["options"]
    kind = RTDETR if network.startswith("rtdetr") else YOLO
    saved = folder / "model.pt"
    tuned(network, pictures).save(saved)
    written = Path(kind(saved).export(**{"format": "onnx", "imgsz": SIDE, **options}))
    if written.is_dir():
        written.rename(folder / "model")
    found = []
    model = kind(saved)
    for number, picture in enumerate(pictures):
        (result,) = model.predict(
            np.ascontiguousarray(picture),
            imgsz=SIDE,
            rect=bool(options.get("dynamic")),
            conf=0.25,
            retina_masks=True,
            verbose=False,
            **{name: value for name, value in options.items() if name == "end2end"},
        )
        boxes = result.boxes
        found.append(
            {"boxes": boxes.xyxy.tolist(), "scores": boxes.conf.tolist(), "classes": boxes.cls.int().tolist()}
        )
        if result.masks is not None:
            np.savez_compressed(folder / f"masks-{number}.npz", masks=result.masks.data.numpy().astype(bool))
    (folder / "found.json").write_text(json.dumps(found))


main()
