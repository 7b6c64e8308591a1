"""RT-DETR v1 and v2 and DEIM, from their repositories, exported as their own commands do; see `common.py`.

The folders that hold them are named by a `.pth`: each keeps its code in a package, `src` or `engine`.
"""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torchvision import transforms

from tests.detectors.onnx.programs.common import arguments, export, know_pictures, rescale, vary, write_found

SIDE = 320


class Deployed(torch.nn.Module):
    """What their commands export."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.model = config.model.deploy()
        self.postprocessor = config.postprocessor.deploy()

    def forward(self, images: Any, orig_target_sizes: Any) -> Any:
        """Return labels, boxes and scores."""
        return self.postprocessor(self.model(images), orig_target_sizes)


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    file = next(path for path in (Path(place) / asked["config"] for place in sys.path) if path.is_file())
    root = next(parent.parent for parent in file.parents if parent.name == "configs")
    sys.path.insert(0, str(root))
    # What the first version reads data sets with is of an older torchvision.
    if root.name == "rtdetr_pytorch":
        sys.modules["src.data"] = types.ModuleType("src.data")
    core = importlib.import_module("engine.core" if (root / "engine").is_dir() else "src.core")
    size, without = {"eval_spatial_size": [SIDE, SIDE]}, {"pretrained": False}
    config = core.YAMLConfig(
        str(file), **size, HGNetv2=without, PResNet=without, HybridEncoder=size, RTDETRTransformer=size
    )
    model = config.model.eval()
    vary(model)
    prepared = transforms.Compose([transforms.Resize((SIDE, SIDE)), transforms.ToTensor()])
    batches = [prepared(picture)[None] for picture in pictures]

    def run() -> None:
        model(batches[0])

    know_pictures(model, run)
    for head in (model.decoder.enc_score_head, *model.decoder.dec_score_head):
        rescale(head, run, -6, 2)
    deployed = Deployed(config).eval()
    found = []
    with torch.no_grad():
        for picture, batch in zip(pictures, batches, strict=True):
            labels, boxes, scores = (
                one[0] for one in deployed(batch, torch.tensor([[picture.width, picture.height]]))
            )
            kept = scores >= 0.25
            found.append({"boxes": boxes[kept], "scores": scores[kept], "classes": labels[kept]})
        inputs, outputs = ["images", "orig_target_sizes"], ["labels", "boxes", "scores"]
        axes = {name: {0: "N"} for name in inputs}
        example = (torch.rand(1, 3, SIDE, SIDE), torch.tensor([[SIDE, SIDE]]))
        export(deployed, example, folder, inputs, outputs, opset_version=16, dynamic_axes=axes)
    write_found(folder, found)


main()
