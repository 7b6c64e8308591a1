"""torchvision's detectors, exported as its own tests do; see `common.py`."""

from typing import Any

import torch
import torchvision
from torchvision.transforms.functional import to_tensor

from tests.detectors.onnx.programs.common import arguments, export, know_pictures, rescale, write_found

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    name = asked["network"]
    sizes = {} if name.startswith("ssd") else {"min_size": SIDE, "max_size": 533}
    kind = getattr(torchvision.models.detection, name)
    model = (
        kind(weights=None, weights_backbone=None, num_classes=91, box_detections_per_img=100, **sizes)
        if ("rcnn" in name)
        else kind(weights=None, weights_backbone=None, num_classes=91, **sizes)
    )
    model.eval()
    tensors = [to_tensor(picture) for picture in pictures]

    def run() -> Any:
        return model([tensors[0]])

    know_pictures(model, run)
    for module_name, module in model.named_modules():
        if "rcnn" in name and module_name.endswith("box_predictor.cls_score"):
            rescale(module, run, 0, 2.5)
        elif module_name.endswith("mask_fcn_logits"):
            rescale(module, run, 1, 2)
        elif module_name.endswith("cls_logits"):
            rescale(module, run, -6, 2)
        elif module_name.endswith("bbox_ctrness"):
            rescale(module, run, 0, 1)
            # Else many boxes have no area, and are no objects here.
            rescale(model.head.regression_head.bbox_reg, run, 2, 0.5)
        elif "classification_head.module_list" in module_name and getattr(module, "bias", None) is not None:
            rescale(module, run, 0, 2)
    outputs = ["boxes", "labels", "scores", "masks"] if "mask" in name else ["boxes", "labels", "scores"]
    if "rcnn" not in name:
        outputs = ["boxes", "scores", "labels"]
    options = {"dynamic_axes": {"images": {1: "height", 2: "width"}}} if asked.get("open") else {}
    with torch.no_grad():
        export(model, ([tensors[0]],), folder, ["images"], outputs, **options)
        found = []
        for tensor in tensors:
            (result,) = model([tensor])
            kept = result["scores"] >= 0.25
            masks = result["masks"][kept, 0] > 0.5 if "masks" in result else None
            boxes, scores, labels = (result[key][kept] for key in ("boxes", "scores", "labels"))
            found.append({"boxes": boxes, "scores": scores, "classes": labels, "masks": masks})
    write_found(folder, found)


main()
