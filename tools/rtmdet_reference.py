"""What MMDetection's RTMDet finds with synthetic weights: tests/detectors/rtmdet/data/ is made by this.

    python tools/rtmdet_reference.py ../shared tests/detectors/rtmdet/data

Run it where mmdet 3.3.0, mmengine, mmcv-lite and torchvision are installed. mmcv's compiled operators are not
needed: its suppression is done here by torchvision's operator, which follows the same rule.
"""

import argparse
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, "np.ndarray[Any, Any]"]

# Of the file's name: whether its box tower predicts logarithms, as the sizes from m on do.
VARIANTS = {"rtmdet_tiny": False, "rtmdet_tiny_exp": True}
PICTURES = ("apartment", "park", "street", "zoo")


def synthesized(shared: Path) -> Arrays:
    """Return a stand-in for RTMDet's weights, size tiny: of RTMDet-Ins's, with a box tower of its own."""
    folder = shared / "reference" / "rtmdet"
    specification = importlib.util.spec_from_file_location("synthetic", folder / "synthetic_checkpoint.py")
    module: Any = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]  # it is there
    specification.loader.exec_module(module)  # type: ignore[union-attr]  # as above
    form = json.loads((folder / "rtmdet_ins_tiny.params.json").read_text())
    statistics = dict(np.load(folder / "rtmdet_ins_tiny.statistics.npz"))
    shapes = [(name, tuple(shape)) for name, shape, _ in form["params"]]
    arrays: Arrays = module.synthesize(shapes, statistics)
    of_masks = (".kernel_convs.", ".rtm_kernel.", ".mask_head.")
    return {
        # In RTMDet-Ins both towers are one. Turned round, the box tower computes something else.
        name: array[::-1].copy() if ".reg_convs." in name and array.ndim else array
        for name, array in arrays.items()
        if not any(part in name for part in of_masks)
    }


def main() -> None:
    """Write what is found in each picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    _without_compiled_operators()
    import mmdet
    import torch
    from mmdet.apis import inference_detector, init_detector
    from mmdet.utils import register_all_modules

    register_all_modules()
    config = Path(mmdet.__file__).parent / ".mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
    weights = {name: torch.from_numpy(array) for name, array in synthesized(options.shared).items()}
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


def _without_compiled_operators() -> None:
    """Let mmdet import what mmcv-lite has not got; only the suppression is called, and works."""
    import mmcv
    import torch
    from torchvision.ops import batched_nms as suppress

    class Operators(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    def batched_nms(boxes: Any, scores: Any, labels: Any, given: Any) -> tuple[Any, Any]:
        kept = suppress(boxes, scores, labels, given["iou_threshold"])
        return torch.cat([boxes[kept], scores[kept, None]], dim=1), kept

    mmcv.ops = Operators("mmcv.ops")
    mmcv.ops.__path__ = []
    mmcv.ops.batched_nms = batched_nms
    sys.modules["mmcv.ops"] = mmcv.ops
    for name in (
        "carafe",
        "merge_cells",
        "modulated_deform_conv",
        "multi_scale_deform_attn",
        "nms",
        "roi_align",
    ):
        sys.modules[f"mmcv.ops.{name}"] = Operators(f"mmcv.ops.{name}")


if __name__ == "__main__":
    main()
