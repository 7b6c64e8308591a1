"""The network as one graph of the inference engine, built from the converted weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.openvino_runtime import Graph, opset
from flask_detector.detectors.rtmdet.architecture import (
    MASK_CONVS,
    PROTOTYPES,
    SIDE,
    STRIDES,
    TOWER_CONVS,
    Architecture,
)

Weights = Mapping[str, npt.NDArray[np.float32]]
Node = Any

# Of the channels blue, green, red. Source: MMDetection 3.3.0, configs/rtmdet/rtmdet_l_8xb32-300e_coco.py.
MEAN = (103.53, 116.28, 123.675)
STD = (57.375, 57.12, 58.395)

_POOL_SIDES = (5, 9, 13)


def network(weights: Weights, architecture: Architecture) -> Graph:
    """Return the graph from a letterboxed picture to what the head says of it.

    Input: (1, 640, 640, 3) uint8, RGB.
    Outputs, the grid's cells of strides 8, 16, 32 one behind the other, row by row (P = 8400):
    (P, classes) scores in 0..1; (P, 4) distances from the cell's point to the left, top, right and bottom
    side, in pixels of the letterboxed picture. Of RTMDet-Ins also (P, 169) the numbers of each cell's dynamic
    convolutions, and (8, 6400) the mask features on stride 8.
    """
    net = _Net(weights, architecture)
    picture = opset.parameter([1, SIDE, SIDE, 3], np.uint8)
    levels = net.neck(net.backbone(_normalised(picture)))
    outputs = [net.scores(levels), net.distances(levels)]
    if architecture.has_masks:
        outputs += [net.kernels(levels), net.mask_features(levels)]
    return Graph(outputs, [picture], "rtmdet")


def _normalised(picture: Node) -> Node:
    channels_first = opset.transpose(opset.convert(picture, np.float32), _ints(0, 3, 1, 2))
    reversed_channels = opset.gather(channels_first, _ints(2, 1, 0), opset.constant(np.int64(1)))
    mean, std = (np.array(numbers, np.float32).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    return opset.divide(opset.subtract(reversed_channels, opset.constant(mean)), opset.constant(std))


class _Net:
    """Puts layers together out of the weights."""

    def __init__(self, weights: Weights, architecture: Architecture) -> None:
        self._weights = weights
        self._size = architecture

    def backbone(self, x: Node) -> list[Node]:
        """Return the maps on strides 8, 16 and 32 (CSPNeXt)."""
        x = self._conv("backbone.stem.0.conv", x, stride=2)
        x = self._conv("backbone.stem.1.conv", x)
        x = self._conv("backbone.stem.2.conv", x)
        maps = []
        for number, blocks in enumerate(self._size.blocks, start=1):
            name, is_last = f"backbone.stage{number}", number == len(self._size.blocks)
            x = self._conv(f"{name}.0.conv", x, stride=2)
            if is_last:
                x = self._spatial_pyramid(f"{name}.1", x)
            layer = f"{name}.{2 if is_last else 1}"
            x = self._csp_layer(layer, x, blocks, with_identity=not is_last, with_attention=True)
            maps.append(x)
        return maps[1:]

    def neck(self, maps: Sequence[Node]) -> list[Node]:
        """Return the maps on the same strides, each with what the others know (CSPNeXt-PAFPN)."""
        low, middle, high = maps
        blocks = self._size.neck_blocks
        high = self._conv("neck.reduce_layers.0.conv", high)
        middle = self._csp_layer("neck.top_down_blocks.0", _joined(_twice(high), middle), blocks)
        middle = self._conv("neck.reduce_layers.1.conv", middle)
        low = self._csp_layer("neck.top_down_blocks.1", _joined(_twice(middle), low), blocks)
        down = self._conv("neck.downsamples.0.conv", low, stride=2)
        middle = self._csp_layer("neck.bottom_up_blocks.0", _joined(down, middle), blocks)
        down = self._conv("neck.downsamples.1.conv", middle, stride=2)
        high = self._csp_layer("neck.bottom_up_blocks.1", _joined(down, high), blocks)
        return [self._conv(f"neck.out_convs.{i}.conv", x) for i, x in enumerate((low, middle, high))]

    def scores(self, levels: Sequence[Node]) -> Node:
        """Return the scores of the cells of all levels."""
        return opset.sigmoid(opset.concat(self._cells("cls", levels), 0))

    def distances(self, levels: Sequence[Node]) -> Node:
        """Return the distances of the cells of all levels to their boxes' sides."""
        return opset.concat(
            [
                opset.multiply(self._sides(cells), opset.constant(np.float32(stride)))
                for cells, stride in zip(self._cells("reg", levels), STRIDES, strict=True)
            ],
            0,
        )

    def kernels(self, levels: Sequence[Node]) -> Node:
        """Return the numbers of the dynamic convolutions of the cells of all levels."""
        return opset.concat(self._cells("kernel", levels), 0)

    def mask_features(self, levels: Sequence[Node]) -> Node:
        """Return the features that the dynamic convolutions look at, (8, rows * columns) of stride 8."""
        x = _joined(levels[0], *(_enlarged(x, 2**i) for i, x in enumerate(levels[1:], start=1)))
        x = self._conv("bbox_head.mask_head.fusion_conv", x, act=False)
        for i in range(MASK_CONVS):
            x = self._conv(f"bbox_head.mask_head.stacked_convs.{i}.conv", x)
        x = self._conv("bbox_head.mask_head.projection", x, act=False)
        return _reshape(x, [PROTOTYPES, -1])

    def _sides(self, predicted: Node) -> Node:
        if self._size.has_masks:
            return opset.relu(predicted)
        return opset.exp(predicted) if self._size.predicts_logarithms else predicted

    def _cells(self, tower: str, levels: Sequence[Node]) -> list[Node]:
        """Return what a tower says of each level's cells, (rows * columns, numbers)."""
        found = []
        for level, x in enumerate(levels):
            y = x
            for i in range(TOWER_CONVS):
                y = self._conv(f"bbox_head.{tower}_convs.{level}.{i}.conv", y)
            found.append(_rows(self._conv(f"bbox_head.rtm_{tower}.{level}", y, act=False)))
        return found

    def _csp_layer(
        self, name: str, x: Node, blocks: int, *, with_identity: bool = False, with_attention: bool = False
    ) -> Node:
        short = self._conv(f"{name}.short_conv.conv", x)
        main = self._conv(f"{name}.main_conv.conv", x)
        for i in range(blocks):
            block = f"{name}.blocks.{i}"
            y = self._conv(f"{block}.conv1.conv", main)
            y = self._conv(f"{block}.conv2.depthwise_conv.conv", y)
            y = self._conv(f"{block}.conv2.pointwise_conv.conv", y)
            main = opset.add(y, main) if with_identity else y
        x = _joined(main, short)
        if with_attention:
            x = self._attention(f"{name}.attention.fc", x)
        return self._conv(f"{name}.final_conv.conv", x)

    def _attention(self, name: str, x: Node) -> Node:
        mean = opset.reduce_mean(x, _ints(2, 3), True)
        weight = self._conv(name, mean, act=False)
        # The hard sigmoid of PyTorch: (x + 3) / 6, cut to 0..1.
        gate = opset.hard_sigmoid(weight, opset.constant(np.float32(1 / 6)), opset.constant(np.float32(0.5)))
        return opset.multiply(x, gate)

    def _spatial_pyramid(self, name: str, x: Node) -> Node:
        x = self._conv(f"{name}.conv1.conv", x)
        pooled = [
            opset.max_pool(x, [1, 1], [1, 1], [s // 2] * 2, [s // 2] * 2, [s, s], "floor", "explicit").output(
                0
            )
            for s in _POOL_SIDES
        ]
        return self._conv(f"{name}.conv2.conv", _joined(x, *pooled))

    def _conv(self, name: str, x: Node, *, stride: int = 1, act: bool = True) -> Node:
        weight = self._weights[f"{name}.weight"]
        pad, strides = [weight.shape[2] // 2] * 2, [stride, stride]
        is_depthwise = weight.shape[1] == 1 and ".depthwise_conv." in name
        convolve = opset.group_convolution if is_depthwise else opset.convolution
        constant = opset.constant(weight[:, None] if is_depthwise else weight, shared_memory=True)
        found = convolve(x, constant, strides, pad, pad, [1, 1])
        bias = opset.constant(self._weights[f"{name}.bias"].reshape(1, -1, 1, 1), shared_memory=True)
        for node, kind in ((constant, "weight"), (bias, "bias")):
            node.set_friendly_name(f"{name}.{kind}")
        found = opset.add(found, bias)
        return opset.swish(found) if act else found


def _ints(*numbers: int) -> Node:
    return opset.constant(np.array(numbers, np.int64))


def _joined(*maps: Node) -> Node:
    return opset.concat(list(maps), 1)


def _reshape(x: Node, shape: list[int]) -> Node:
    return opset.reshape(x, opset.constant(np.array(shape, np.int64)), False)


def _rows(x: Node) -> Node:
    """Return a map (1, channels, rows, columns) as (rows * columns, channels)."""
    return _reshape(opset.transpose(x, _ints(0, 2, 3, 1)), [-1, x.get_output_shape(0)[1]])


def _twice(x: Node) -> Node:
    return _resized(x, 2, "nearest", "asymmetric")


def _enlarged(x: Node, factor: int) -> Node:
    return _resized(x, factor, "linear_onnx", "half_pixel")


def _resized(x: Node, factor: int, mode: str, coordinates: str) -> Node:
    return opset.interpolate(
        x,
        opset.constant(np.array([factor, factor], np.float32)),
        mode,
        "scales",
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        coordinate_transformation_mode=coordinates,
        nearest_mode="floor",
        axes=_ints(2, 3),
    )
