"""Reading safetensors: the length of a header, the header in JSON, then the data.

Source: github.com/huggingface/safetensors, "Format".
"""

import json
import math
from typing import Any

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
            storage = Storage(name, _ELEMENT_TYPES[entry["dtype"]], math.prod(shape))
            if not 0 <= start <= end <= len(data) or end - start != storage.size:
                raise CheckpointError(f"The file is cut short or damaged at '{name}'.")
            storage.data = data[start:end]
            tensors[name] = contiguous(storage, shape)
            spans.append((start, end))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError("The file is damaged: its header can't be read.") from error
    _check_filled(spans, len(data))
    return tensors, meta if isinstance(meta, dict) else {}


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
