"""Tensors of a checkpoint: views of bytes in the file, checked before anything is made of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flask_detector.errors import CheckpointError

Bytes = npt.NDArray[np.uint8]


class Element(NamedTuple):
    """How a type of elements is called: by numpy, as a storage by PyTorch, and by safetensors."""

    numpy: np.dtype[Any]
    torch: str
    safetensors: str


# numpy has no bfloat16: its bits are kept in 16-bit integers and widened when the values are asked for.
ELEMENTS = {
    "float64": Element(np.dtype("<f8"), "DoubleStorage", "F64"),
    "float32": Element(np.dtype("<f4"), "FloatStorage", "F32"),
    "float16": Element(np.dtype("<f2"), "HalfStorage", "F16"),
    "bfloat16": Element(np.dtype("<u2"), "BFloat16Storage", "BF16"),
    "int64": Element(np.dtype("<i8"), "LongStorage", "I64"),
    "int32": Element(np.dtype("<i4"), "IntStorage", "I32"),
    "int16": Element(np.dtype("<i2"), "ShortStorage", "I16"),
    "int8": Element(np.dtype("i1"), "CharStorage", "I8"),
    "uint8": Element(np.dtype("u1"), "ByteStorage", "U8"),
    "bool": Element(np.dtype("?"), "BoolStorage", "BOOL"),
}

_MOST_AXES = 32

# Far beyond every checkpoint, and far below where numpy's own arithmetic of sizes overflows.
_MOST_ELEMENTS = 2**48


@dataclass
class Storage:
    """A run of elements in the file, which tensors are views of.

    data: the bytes; None until they are found, where the file has them behind its table of contents.
    """

    key: str
    element: str
    count: int
    data: Bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.count * ELEMENTS[self.element].numpy.itemsize


@dataclass(frozen=True)
class Tensor:
    """A view of a storage. offset and strides are counted in elements.

    Raises CheckpointError when it would reach beyond its storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        checked_shape(self.shape)
        if len(self.shape) != len(self.strides) or not all(map(_sensible, (self.offset, *self.strides))):
            raise CheckpointError("The file is damaged: a tensor has no proper place.")
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((side - 1) * stride for side, stride in steps)
        reaches = last + 1 if 0 not in self.shape else self.offset
        if reaches > self.storage.count or math.prod(self.shape) > max(self.storage.count, 1):
            raise CheckpointError("The file is damaged: a tensor reaches beyond its data.")

    def array(self) -> npt.NDArray[Any]:
        """Return the values in the checkpoint's own element type, bfloat16 as float32.

        The array is read-only, not always contiguous or aligned, and a view of the file where it can be.
        """
        if self.storage.data is None:
            raise CheckpointError(f"The file is damaged: the data of storage {self.storage.key} are missing.")
        kind = ELEMENTS[self.storage.element].numpy
        flat = self.storage.data[: self.storage.size].view(kind)
        strides = [stride * kind.itemsize for stride in self.strides]
        values = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)
        if self.storage.element == "bfloat16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values


def checked_shape(shape: Sequence[Any]) -> tuple[int, ...]:
    """Return a shape as a tuple. Raises CheckpointError unless an array can have it."""
    sides = tuple(shape)
    if len(sides) > _MOST_AXES or not all(map(_sensible, sides)):
        raise CheckpointError("The file is damaged: a tensor has no proper shape.")
    if math.prod(max(side, 1) for side in sides) > _MOST_ELEMENTS:
        raise CheckpointError("The file is damaged: a tensor's shape is larger than any file.")
    return sides


def _sensible(number: Any) -> bool:
    # Python's numbers have no end: one of megabytes would take minutes to multiply.
    return type(number) is int and 0 <= number <= _MOST_ELEMENTS


def contiguous(storage: Storage, shape: tuple[int, ...]) -> Tensor:
    """Return a storage's elements as one tensor, the last axis the closest."""
    strides: list[int] = []
    step = 1
    for side in reversed(shape):
        strides.insert(0, step)
        step *= side
    return Tensor(storage, 0, shape, tuple(strides))
