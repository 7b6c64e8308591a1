"""What MMDetection's RTMDet finds with synthetic weights: tests/detectors/rtmdet/data/ is made by this.

    python tools/rtmdet_reference.py ../shared tests/detectors/rtmdet/data

Run it where mmdet 3.3.0, mmengine, mmcv-lite and torchvision are installed (`mmcv_operators.py`).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.weights import Arrays, rtmdet_boxes_weights
from tools.mmcv_operators import put_torchvisions_operators_in

# Of the file's name: whether its box tower predicts logarithms, as the sizes from m on do.
VARIANTS = {"rtmdet_tiny": False, "rtmdet_tiny_exp": True}
PICTURES = ("apartment", "park", "street", "zoo")


def main() -> None:
    """Write what is found in each picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    put_torchvisions_operators_in()
    import mmdet
    import torch
    from mmdet.apis import inference_detector, init_detector
    from mmdet.utils import register_all_modules

    register_all_modules()
    config = Path(mmdet.__file__).parent / ".mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
    weights = {name: torch.from_numpy(array) for name, array in rtmdet_boxes_weights(options.shared).items()}
    for name, predicts_logarithms in VARIANTS.items():
        given = {"model.bbox_head.exp_on_reg": predicts_logarithms, "model.backbone.init_cfg": None}
        model = init_detector(str(config), device="cpu", cfg_options=given, palette="coco")
        model.load_state_dict(weights)
        found: Arrays = {}
        for picture in PICTURES:
            path = options.shared / "pictures" / f"{picture}.jpg"
            instances = inference_detector(model, str(path)).pred_instances
            print(name, picture, len(instances), float(instances.scores.max()))
            found[f"{picture}.boxes"] = instances.bboxes.numpy()
            found[f"{picture}.scores"] = instances.scores.numpy()
            found[f"{picture}.labels"] = instances.labels.numpy().astype(np.uint8)
        np.savez_compressed(options.folder / f"{name}.npz", **found)  # type: ignore[arg-type]  # none is allow_pickle


if __name__ == "__main__":
    main()
