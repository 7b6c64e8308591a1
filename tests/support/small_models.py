"""A weights file of a network that exists, as small as it can be."""

import json
import struct
from pathlib import Path

import numpy as np

from flask_detector.detectors.rtmdet.architecture import Architecture


def write_small_rtmdet(path: Path, classes: int = 2, **meta: str) -> None:
    """Write RTMDet, without masks, of so many classes, and texts about it, as a safetensors file."""
    network = Architecture((8, 8, 16, 16, 16), (1, 1, 1, 1), 1, classes, False, predicts_logarithms=False)
    random = np.random.default_rng(1)
    arrays = {}
    for conv in network.convs():
        for name, shape in conv.tensors().items():
            ones = name.endswith(("running_var", "bn.weight"))
            arrays[name] = np.ones(shape, "<f4") if ones else random.normal(0, 0.1, shape).astype("<f4")
    header: dict[str, object] = {"__metadata__": meta} if meta else {}
    end = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    body = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
