"""Full-size stand-ins for trained weights, made and converted once a session."""

import importlib.util
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.mask_rcnn import Variant, convert

# Where a variant's parameters are listed.
PARAMETERS = {
    Variant.MMDET_CAFFE: "mmdet/mask_rcnn_r50_caffe_fpn",
    Variant.MMDET_PYTORCH: "mmdet/mask_rcnn_r50_fpn",
    Variant.TORCHVISION_V1: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V1_EPS: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V2: "torchvision/maskrcnn_resnet50_fpn_v2",
}


@pytest.fixture(scope="session")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Variant], Path]:
    """A function that returns a folder of converted weights of a variant."""
    made: dict[Variant, Path] = {}

    def converted(variant: Variant) -> Path:
        if variant not in made:
            folder = tmp_path_factory.mktemp(variant)
            checkpoint = folder / "weights.safetensors"
            _write(checkpoint, _synthetic(shared / "reference", PARAMETERS[variant]))
            convert(checkpoint, folder / "converted", variant=variant)
            checkpoint.unlink()
            made[variant] = folder / "converted"
        return made[variant]

    return converted


def _synthetic(reference: Path, name: str) -> dict[str, "np.ndarray[Any, Any]"]:
    path = reference / "mmdet" / "synthetic_checkpoint.py"
    specification = importlib.util.spec_from_file_location("synthetic_checkpoint", path)
    assert specification is not None
    assert specification.loader is not None
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    form = json.loads((reference / f"{name}.params.json").read_text())
    shapes = [(parameter, tuple(shape)) for parameter, shape, _ in form["params"]]
    arrays: dict[str, np.ndarray[Any, Any]] = module.synthesize(shapes, pixel_scale=form["pixel_scale"])
    return arrays


def _write(path: Path, arrays: dict[str, "np.ndarray[Any, Any]"]) -> None:
    header, offset = {}, 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        end = offset + array.nbytes
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
