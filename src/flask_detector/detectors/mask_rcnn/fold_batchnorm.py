"""From a checkpoint's layers to what the graphs take: batch norms folded, channels where we want them."""

from collections.abc import Mapping

import numpy as np

from flask_detector.detectors.checkpoint.batch_norm import ArraySource, Floats, folded
from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, Layer


def fold(layer: Layer, tensors: Mapping[str, ArraySource], *, epsilon: float) -> tuple[Floats, Floats]:
    """Return a layer's weight and bias (out,) with its batch norm folded in.

    The weight is (out, in, rows, columns) or (out, in) as in the checkpoint, with two exceptions:

    - ``box.fc0``, behind the 7x7 cells of a box, takes its inputs in the order rows, columns, channels.
    - ``mask.up``, the transposed 2x2 convolution with stride 2, becomes a fully connected layer of (4 * 256,
      256) whose outputs are ordered row, column, channel: its four taps do not overlap.
    """
    weight, bias = folded(layer.source, layer.norm, tensors, epsilon=epsilon)
    if layer.name == "box.fc0":
        weight = weight.reshape(-1, CHANNELS, BOX_CELLS, BOX_CELLS).transpose(0, 2, 3, 1)
        weight = weight.reshape(layer.shape)
    if layer.name == "mask.up":
        weight = weight.transpose(2, 3, 1, 0).reshape(4 * CHANNELS, CHANNELS)
        bias = np.tile(bias, 4)
    return np.ascontiguousarray(weight), bias


def norm_of(layer: Layer, tensors: Mapping[str, ArraySource]) -> Floats:
    """Return what is needed to fold in another epsilon later: the norm's variance and bias, (2, out)."""
    return np.stack([tensors[f"{layer.norm}.{part}"].array() for part in ("running_var", "bias")]).astype(
        np.float32
    )


def with_epsilon(weights: Mapping[str, Floats], *, folded: float, epsilon: float) -> dict[str, Floats]:
    """Return weights, in which one epsilon is folded, with another one; see `norm_of`."""
    changed = dict(weights)
    for name in weights:
        layer = name.removesuffix(".norm")
        if layer == name:
            continue
        variance, beta = weights[name].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt((variance + folded) / (variance + epsilon))
            changed[f"{layer}.weight"] = (weights[f"{layer}.weight"] * ratio[:, None, None, None]).astype(
                np.float32
            )
            changed[f"{layer}.bias"] = (beta + (weights[f"{layer}.bias"] - beta) * ratio).astype(np.float32)
    return changed
