"""Full-size stand-ins for trained weights, made from their tensors' names and shapes, and files of them."""

import importlib.util
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


def mask_rcnn_weights(shared: Path, name: str) -> Arrays:
    """Return the stand-in for the weights of ``<origin>/<model>``; shared: the folder of references."""
    form = json.loads((shared / "reference" / f"{name}.params.json").read_text())
    shapes = [(parameter, tuple(shape)) for parameter, shape, _ in form["params"]]
    module = _module(shared / "reference" / "mmdet" / "synthetic_checkpoint.py")
    arrays: Arrays = module.synthesize(shapes, pixel_scale=form["pixel_scale"])
    return arrays


def rtmdet_weights(shared: Path, size: str) -> Arrays:
    """Return the stand-in for the weights of RTMDet-Ins of a size, by the checkpoint's names."""
    folder = shared / "reference" / "rtmdet"
    form = json.loads((folder / f"rtmdet_ins_{size}.params.json").read_text())
    shapes = [(name, tuple(shape)) for name, shape, _ in form["params"]]
    statistics = dict(np.load(folder / f"rtmdet_ins_{size}.statistics.npz"))
    arrays: Arrays = _module(folder / "synthetic_checkpoint.py").synthesize(shapes, statistics)
    return arrays


def rtmdet_boxes_weights(shared: Path) -> Arrays:
    """Return the stand-in for RTMDet's weights, size tiny: of RTMDet-Ins's, with a box tower of its own."""
    of_masks = (".kernel_convs.", ".rtm_kernel.", ".mask_head.")
    return {
        # In RTMDet-Ins both towers are one. Turned round, the box tower computes something else.
        name: array[::-1].copy() if ".reg_convs." in name and array.ndim else array
        for name, array in rtmdet_weights(shared, "tiny").items()
        if not any(part in name for part in of_masks)
    }


def write_safetensors(path: Path, arrays: Arrays, **texts: str) -> None:
    """Write arrays of float32 and int64, by name, and texts as a safetensors file."""
    header: dict[str, Any] = {"__metadata__": texts} if texts else {}
    offset = 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        end = offset + array.nbytes
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for array in arrays.values():
            file.write(array.tobytes())


def write_as_detectron2(path: Path, arrays: Arrays) -> None:
    """Write MMDetection's weights as Detectron2's model zoo has its own: a pickle of numpy's arrays."""
    # Here, since a benchmark uses the rest where the package isn't.
    from flask_detector.detectors.mask_rcnn.layers import Layout, layers

    names: dict[str, str] = {}
    for theirs, ours in zip(layers(Layout.DETECTRON2, 80), layers(Layout.MMDET, 80), strict=True):
        names |= dict(zip(theirs.tensors(), ours.tensors(), strict=True))
    model = {theirs: arrays[ours] for theirs, ours in names.items()}
    with path.open("wb") as file:
        pickle.dump({"model": model, "__author__": "Detectron2 Model Zoo"}, file)


def _module(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
