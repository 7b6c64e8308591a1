"""EfficientDet by rwightman's effdet, prepared by its own transforms; see `common.py`."""

import os
from typing import Any

# Of what is compiled as a script the exporter does not know a type; so it is traced instead.
os.environ["PYTORCH_JIT"] = "0"

import torch
from effdet import DetBenchPredict, EfficientDet, get_efficientdet_config
from effdet.data.transforms import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, transforms_coco_eval

from tests.detectors.onnx.programs.common import arguments, export, know_pictures, rescale, write_found

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    config = get_efficientdet_config(asked["network"])
    config.image_size = (SIDE, SIDE)
    model = EfficientDet(config, pretrained_backbone=False).eval()
    transform = transforms_coco_eval(SIDE, use_prefetcher=True)
    # As its loader does.
    mean, std = (
        torch.tensor([255 * x for x in values]).view(3, 1, 1)
        for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    )
    prepared = [transform(picture, {}) for picture in pictures]
    batches = [((torch.from_numpy(pixels).float() - mean) / std)[None] for pixels, _ in prepared]

    def run() -> Any:
        return model(torch.cat(batches))

    know_pictures(model, run)
    rescale(model.class_net.predict.conv_pw, run, -10.3, 2)
    rescale(model.box_net.predict.conv_pw, run, 0, 0.3)
    predict = DetBenchPredict(model).eval()
    found = []
    with torch.no_grad():
        for batch, (_, notes) in zip(batches, prepared, strict=True):
            # Given `img_info` as well it would cut boxes before its suppression, which the exported can't.
            rows = predict(batch)[0]
            rows = rows[rows[:, 4] >= 0.25]
            found.append(
                {"boxes": rows[:, :4] * notes["img_scale"], "scores": rows[:, 4], "classes": rows[:, 5] - 1}
            )
        export(predict, (batches[0],), folder, ["images"], ["detections"])
    write_found(folder, found)


main()
