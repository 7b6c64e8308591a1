"""Reading and writing safetensors: the length of a header, the header in JSON, then the data.

Source: github.com/huggingface/safetensors, "Format".
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.atomic_files import write_whole
from flask_detector.detectors.checkpoint.batch_norm import Floats
from flask_detector.detectors.checkpoint.tensors import (
    ELEMENTS,
    Bytes,
    Storage,
    Tensor,
    checked_shape,
    contiguous,
)
from flask_detector.errors import CheckpointError

# A header of Mask R-CNN has about 50 kB; parsed, one can take fifty times its length.
_LONGEST_HEADER = 4 * 2**20

# Types of the format that no weights are trained in.
_UNREAD = {"F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "U16", "U32", "U64", "C64"}

_ELEMENT_TYPES = {one.safetensors: name for name, one in ELEMENTS.items()}


def read_safetensors(content: Bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors by name, and the metadata, of a file's bytes (N,).

    Raises CheckpointError where the file is malformed. As the format demands, the tensors must fill what is
    behind the header, each its own part.
    """
    size = int.from_bytes(content[:8].tobytes(), "little")
    data = content[8 + size :]
    if 8 + size > len(content):
        raise CheckpointError("The file is cut short.")
    if size > _LONGEST_HEADER:
        raise CheckpointError("The file's header is far too long.")
    try:
        header = json.loads(content[8 : 8 + size].tobytes(), object_pairs_hook=_without_duplicates)
        meta = header.pop("__metadata__", {})
        tensors = {}
        spans = []
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            shape = checked_shape(entry["shape"])
            if entry["dtype"] in _UNREAD:
                raise CheckpointError(
                    f"The file has tensors of type {entry['dtype']}, which is not read here.",
                    hint="Save the weights in float32, float16 or bfloat16.",
                )
            storage = Storage(name, _ELEMENT_TYPES[entry["dtype"]], math.prod(shape))
            if not 0 <= start <= end <= len(data) or end - start != storage.size:
                raise CheckpointError(f"The file is cut short or damaged at '{name}'.")
            storage.data = data[start:end]
            tensors[name] = contiguous(storage, shape)
            spans.append((start, end))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError("The file is damaged: its header can't be read.") from error
    _check_filled(spans, len(data))
    if not isinstance(meta, dict):
        return tensors, {}
    # safetensors.torch.save_model writes an array of several names once, and its other names here.
    shared = {name: tensors[kept] for name, kept in meta.items() if isinstance(kept, str) and kept in tensors}
    return shared | tensors, meta


def write_safetensors(path: Path, arrays: Mapping[str, Floats], meta: Mapping[str, str]) -> None:
    """Write arrays by name and metadata. The file appears whole or not at all. Raises OSError."""
    header: dict[str, Any] = {"__metadata__": dict(meta)}
    offset = 0
    for name, array in arrays.items():
        offsets = [offset, offset := offset + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values()]
    write_whole(path, b"".join([len(text).to_bytes(8, "little"), text, *data]))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_filled(spans: list[tuple[int, int]], length: int) -> None:
    place = 0
    for start, end in sorted(spans):
        if start != place:
            raise CheckpointError("The file is damaged: its tensors overlap or leave gaps.")
        place = end
    if place != length:
        raise CheckpointError("The file is damaged: it is longer than its tensors.")
