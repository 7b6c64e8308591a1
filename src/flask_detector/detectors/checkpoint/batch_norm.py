"""The batch norm behind a layer: its tensors in a checkpoint, and how it is folded into the layer."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]

_PARTS = ("weight", "bias", "running_mean", "running_var")


class ArraySource(Protocol):
    """Something that gives a checkpoint's tensor as an array."""

    def array(self) -> npt.NDArray[Any]:
        """Return the values; float16, bfloat16 and float64 as they are or wider."""


def tensors_of(layer: str, shape: Shape, norm: str | None, outputs: int) -> dict[str, Shape]:
    """Return the names and shapes of what a checkpoint has for a layer with a norm, or else a bias."""
    if norm is None:
        return {f"{layer}.weight": shape, f"{layer}.bias": (outputs,)}
    return {f"{layer}.weight": shape, **{f"{norm}.{part}": (outputs,) for part in _PARTS}}


def folded(
    layer: str, norm: str | None, tensors: Mapping[str, ArraySource], *, epsilon: float
) -> tuple[Floats, Floats]:
    """Return a layer's weight and bias (out,) with its batch norm folded in, computed in double precision.

    What is too large for single precision becomes infinite; who writes the arrays refuses that.
    """
    weight = tensors[f"{layer}.weight"].array()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if norm is None:
            bias = tensors[f"{layer}.bias"].array()
        else:
            gamma, beta, mean, variance = (
                tensors[f"{norm}.{part}"].array().astype(np.float64) for part in _PARTS
            )
            scale = gamma / np.sqrt(variance + epsilon)
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            bias = beta - mean * scale
        return np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)


def unfolded(norm: str, scale: Floats, bias: Floats, *, epsilon: float) -> dict[str, Floats]:
    """Return the tensors of a batch norm that multiplies by a scale (C,) and adds a bias (C,)."""
    same = np.ones_like(bias)
    weight = scale * np.float32(np.sqrt(1 + epsilon))
    return dict(zip((f"{norm}.{part}" for part in _PARTS), (weight, bias, same * 0, same), strict=True))


def scale_of(weight: Floats, of: Floats) -> Floats:
    """Return the factors (C,) by which a weight (C, …) is another one's, channel by channel."""
    a, b = (one.reshape(len(one), -1).astype(np.float64) for one in (weight, of))
    squares = (b * b).sum(axis=1)
    factors = np.divide((a * b).sum(axis=1), squares, where=squares > 0, out=np.zeros_like(squares))
    scale: Floats = factors.astype(weight.dtype)
    return scale
