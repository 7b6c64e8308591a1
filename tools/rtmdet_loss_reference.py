"""What MMDetection's RTMDet-Ins says of two drawn pictures while it is trained, with synthetic weights.

    PYTHONPATH=. python tools/rtmdet_loss_reference.py ../shared tests/teach/data

Writes the losses of a batch and, of each parameter's gradient, its norm and its product with `signs`, all in
double precision. Batch norms are as trained. Run it where mmdet 3.3.0, mmengine and mmcv-lite are installed.
"""

import sys
import types
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.drawn import SIDE, drawn
from tests.support.weights import rtmdet_weights


def signs(name: str, shape: tuple[int, ...]) -> Any:
    """Return an array of 1 and -1 for a parameter."""
    return np.random.default_rng(zlib.crc32(name.encode())).integers(0, 2, shape) * 2.0 - 1.0


def main() -> None:
    """Write what is said for each size."""
    shared, folder = (Path(one) for one in sys.argv[1:])
    sys.modules["mmcv._ext"] = _NoOperators("mmcv._ext")
    import mmdet
    import mmdet.models  # fills the registry
    import torch
    from mmdet.registry import MODELS
    from mmdet.structures.mask import BitmapMasks
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmengine.structures import InstanceData

    init_default_scope("mmdet")
    pictures = [drawn(seed) for seed in (1, 2)]
    batch = torch.from_numpy(np.stack([one.pixels for one in pictures])).double().flip(3)
    instances = [
        InstanceData(
            bboxes=torch.from_numpy(one.boxes).double(),
            labels=torch.from_numpy(one.class_ids),
            masks=BitmapMasks(one.masks.astype(np.uint8), SIDE, SIDE),
        )
        for one in pictures
    ]
    metas = [{"img_shape": (SIDE, SIDE), "pad_shape": (SIDE, SIDE)}] * len(pictures)
    for size in ("tiny", "s"):
        configs = Path(mmdet.__file__).parent / ".mim" / "configs" / "rtmdet"
        config = Config.fromfile(configs / f"rtmdet-ins_{size}_8xb32-300e_coco.py").model
        config.backbone.init_cfg = None
        model = MODELS.build(config).eval()
        weights = {name: torch.from_numpy(array) for name, array in rtmdet_weights(shared, size).items()}
        model.load_state_dict(weights)
        model.double()
        _assign_in_double(model.bbox_head)
        mean, std = (torch.tensor(config.data_preprocessor[name]) for name in ("mean", "std"))
        said = model.bbox_head(model.neck(model.backbone(((batch - mean) / std).permute(0, 3, 1, 2))))
        losses = model.bbox_head.loss_by_feat(*said, [one.clone() for one in instances], metas)
        parts: dict[str, Any] = {
            name: sum(one) if isinstance(one, list) else one for name, one in losses.items()
        }
        torch.stack(list(parts.values())).sum().backward()
        found: dict[str, Any] = {name: np.array(part.item()) for name, part in parts.items()}
        for name, parameter in model.named_parameters():
            gradient = parameter.grad.numpy()
            found[name] = np.array([np.linalg.norm(gradient), (gradient * signs(name, gradient.shape)).sum()])
        print(size, parts)
        np.savez_compressed(folder / f"rtmdet_ins_{size}_losses.npz", **found)


def _assign_in_double(head: Any) -> None:
    """Have the head's cells in double precision, but the assigner's IoUs in the single one of its array."""
    head.prior_generator.grid_priors = partial(
        head.prior_generator.grid_priors, dtype=head.rtm_cls[0].weight.dtype
    )
    match = head.assigner.dynamic_k_matching

    def rounded(*given: Any) -> Any:
        overlaps, objects = match(*given)
        return overlaps.float(), objects

    head.assigner.dynamic_k_matching = rounded


class _NoOperators(types.ModuleType):
    """What mmcv-lite lacks; none of it is in this network."""

    def __getattr__(self, name: str) -> Any:
        return None if name.startswith("__") else lambda *_, **__: None


if __name__ == "__main__":
    main()
