"""D-FINE (the package pydfine); see `common.py`."""

import dfine
import numpy as np
import torch
from torchvision.transforms import v2

from tests.detectors.onnx.programs.common import arguments, know_pictures, rescale, vary, write_found

SIDE = 320


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    detector = dfine.DFINE(size=asked["network"], imgsz=SIDE, weights=None)
    model = detector.model.eval()
    vary(model)
    batch = v2.functional.to_image(pictures[0].resize((SIDE, SIDE)))[None].float() / 255

    def run() -> None:
        model(batch)

    know_pictures(model, run)
    rescale(model.decoder.enc_score_head, run, -6, 2)
    for head in model.decoder.dec_score_head:
        rescale(head, run, -6, 2)
    found = []
    for picture in pictures:
        (result,) = detector.predict(picture, conf=0.25)
        boxes = result.boxes
        xyxy, scores, classes = (np.asarray(one) for one in (boxes.xyxy, boxes.conf, boxes.cls))
        found.append(
            {
                "boxes": xyxy.clip(0, [picture.width, picture.height] * 2),
                "scores": scores,
                "classes": classes.astype(int),
            }
        )
    write_found(folder, found)
    detector.export(file=folder / "model.onnx", dynamic=bool(asked.get("open")))


main()
