"""MMDetection's own RTMDet-Ins s as a graph of OpenVINO, for `benchmarks.models`.

    PYTHON benchmarks/mmdet_network.py FILE.xml

PYTHON has torch, mmdet 3.3, mmcv or mmcv-lite, and openvino with its converter. The weights are random: they
do not change the time.
"""

import sys
import types
from pathlib import Path
from typing import Any


class _NoOperators(types.ModuleType):
    """What mmcv-lite lacks; none of it is in this network."""

    def __getattr__(self, name: str) -> Any:
        return None if name.startswith("__") else lambda *_, **__: None


def main() -> None:
    """Write the graph to the file that is named."""
    try:
        import mmcv._ext  # noqa: F401  # only whether it can be
    except ImportError:
        sys.modules["mmcv._ext"] = _NoOperators("mmcv._ext")
    import mmdet
    import mmdet.models  # fills the registry
    import openvino
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    configs = Path(mmdet.__file__).parent / ".mim" / "configs" / "rtmdet"
    config = Config.fromfile(configs / "rtmdet-ins_s_8xb32-300e_coco.py").model
    config.backbone.init_cfg = None
    model = MODELS.build(config).eval()

    class Network(torch.nn.Module):
        def forward(self, image: Any) -> tuple[Any, ...]:
            *levels, features = model.bbox_head(model.neck(model.backbone(image)))
            return (*(one for level in levels for one in level), features)

    network = Network()
    network.model = model
    example = torch.zeros(1, 3, 640, 640)
    graph = openvino.convert_model(network, example_input=example, input=[1, 3, 640, 640])
    openvino.save_model(graph, sys.argv[1], compress_to_fp16=False)


if __name__ == "__main__":
    main()
