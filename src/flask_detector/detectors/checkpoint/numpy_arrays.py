"""numpy's arrays in pickles, as Detectron2's model zoo and `pickle.dump` leave them.

Source: numpy/_core/src/multiarray/methods.c (array_reduce, array_setstate), descriptor.c (arraydescr_reduce).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from flask_detector.detectors.checkpoint.safe_pickle import Stateful
from flask_detector.detectors.checkpoint.tensors import (
    ELEMENTS,
    Bytes,
    Storage,
    Tensor,
    checked_shape,
    contiguous,
)
from flask_detector.errors import CheckpointError

_ELEMENTS = {one.numpy.str[1:]: name for name, one in ELEMENTS.items() if name != "bfloat16"}


class ElementType(Stateful):
    """A numpy.dtype. element: our name of it, None for one that no weights have (text, objects, dates)."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        super().__init__("numpy.dtype")
        self.element = _ELEMENTS.get(code) if isinstance(code, str) else None

    def set_state(self, state: Any) -> None:
        """Take (version, byte order, ...)."""
        if self.element is not None and state[1] == ">" and ELEMENTS[self.element].numpy.itemsize > 1:
            raise CheckpointError(
                "The file was written on a big-endian machine.", hint="Save it on another one."
            )


class Array(Stateful):
    """A numpy.ndarray. tensor: the same as one; None without a state, or of elements that no weights have."""

    def __init__(self, *_: Any) -> None:
        super().__init__("numpy.ndarray")
        self.tensor: Tensor | None = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, type, whether columns come first, data)."""
        _, shape, kind, columns_first, data = state
        self.tensor = _tensor(data, kind, shape, columns_first=bool(columns_first))


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    # How pickles of protocol 5 have them.
    array = Array()
    array.tensor = _tensor(data, kind, shape, columns_first=order == "F")
    return array


def _tensor(data: Any, kind: Any, shape: Any, *, columns_first: bool) -> Tensor | None:
    if not isinstance(kind, ElementType):
        raise TypeError("an array must have a type")
    if kind.element is None:
        return None
    sides = checked_shape(shape)
    storage = Storage("numpy", kind.element, math.prod(sides), _bytes(data))
    if storage.data is None or len(storage.data) != storage.size:
        raise CheckpointError("The file is damaged: an array and its data are of different sizes.")
    if not columns_first:
        return contiguous(storage, sides)
    turned = contiguous(storage, sides[::-1])
    return Tensor(storage, 0, sides, turned.strides[::-1])


def _bytes(data: Any) -> Bytes:
    if isinstance(data, np.ndarray):  # a part of the mapped file
        return data.view(np.ndarray)
    if isinstance(data, str):  # of Python 2, where texts and bytes were the same
        data = data.encode("latin-1")
    return np.frombuffer(data, np.uint8)


BUILDERS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": Array,
    "numpy.dtype": ElementType,
    **{f"numpy.{core}.multiarray._reconstruct": Array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}
