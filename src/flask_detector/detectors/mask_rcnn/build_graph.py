"""The network as graphs of the inference engine, built from the converted weights.

What is between these graphs is done outside (anchors, decoding, suppression):

- features: a picture -> the pyramid's maps P2..P5; in float32 without the pyramid's last convolutions
- tiles, tile answers: these convolutions and the proposal network, by Winograd, for some tiles of any map
- proposals: in bfloat16, maps -> the proposal network's answers on P2..P6. In one graph with the features the
  engine would keep a second copy of all maps, because they are results and still in use.
- row sums: maps -> the features of boxes, which is RoIAlign
- box head: the features of a block of boxes -> class logits and box deltas
- mask head: the features of a block of instances -> the mask of each one's class

In float32 the convolutions of 3x3 behind the backbone are Winograd's, whose transformed weights are inputs.

Maps leave and enter as rows of channels, (height * width, 256): that is how the engine holds them inside,
so nothing is moved around, and RoIAlign wants rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_detector.detectors import winograd
from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, MASK_CELLS, STAGE_BLOCKS
from flask_detector.detectors.openvino_runtime import BFLOAT16, Graph, Precision, opset

Weights = Mapping[str, npt.NDArray[np.float32]]
Node = Any


def features(
    weights: Weights, *, height: int, width: int, stride_in_1x1: bool, precision: Precision
) -> Graph:
    """Return the graph from a padded picture to maps.

    height, width: of the padded picture, multiples of 32.

    Input: (height * width, 3), normalised, in the model's order of channels, in float32 or float16.
    Outputs: for P2..P5 (rows * columns, 256). In bfloat16 the maps themselves; in float32 what the last
    convolutions, see `tiles`, make them of.
    """
    net = _Net(weights)
    is_exact = precision is Precision.FLOAT32
    picture = _input(3, np.float32 if is_exact else np.float16)
    image = opset.convert(_grid(picture, [1, height, width, 3]), np.float32)
    levels = net.merged(net.resnet(image, stride_in_1x1))
    if not is_exact:
        levels = [net.conv(f"pyramid{level}", x) for level, x in enumerate(levels)]
    rows = [_rows(level, CHANNELS) for level in levels]
    return Graph(rows if is_exact else [opset.convert(x, BFLOAT16) for x in rows], [picture], "features")


def proposals(weights: Weights, grids: Sequence[tuple[int, int]]) -> Graph:
    """Return the graph from maps to the proposal network's answers, for bfloat16.

    grids: rows and columns of P2..P5.

    Inputs: P2..P5, each (rows * columns, 256), bfloat16.
    Outputs: for P2..P6, (rows * columns, 15): three logits, then four deltas for each of the three anchors.
    """
    net = _Net(weights)
    maps = [_input(CHANNELS, BFLOAT16) for _ in grids]
    levels = [
        _grid(opset.convert(one, np.float32), [1, *grid, CHANNELS])
        for one, grid in zip(maps, grids, strict=True)
    ]
    answers = [_rows(net.answers(level), 15) for level in [*levels, _every_second(levels[-1])]]
    return Graph(answers, maps, "proposals")


def tiles(block: int, *, relu: bool) -> Graph:
    """Return the graph of a convolution of 256 channels for a block of tiles of a map.

    Inputs: the table (rows, 256); the tiles (36, block); the transformed weight (36, 256, 256); the bias
    (256,). Output: (16 * block, 256). See `winograd.convolution`.
    """
    found, inputs = _tiles(block)
    return Graph([opset.relu(found) if relu else found], inputs, "tiles")


def tile_answers(weights: Weights, block: int) -> Graph:
    """Return the graph from maps to the proposal network's answers for a block of their tiles.

    Inputs: as of `tiles`, of the network's last convolution of 3x3.
    Output: (16 * block, 15): three logits, then four deltas for each of the three anchors.
    """
    found, inputs = _tiles(block)
    return Graph([_Net(weights).fc("rpn.answers", opset.relu(found))], inputs, "tile_answers")


def rpn_convs(weights: Weights) -> list[str]:
    """Return the names of the proposal network's convolutions of 3x3."""
    return [name for name in ("rpn.conv0", "rpn.conv1") if f"{name}.weight" in weights]


def head_convs(weights: Weights, head: str) -> list[str]:
    """Return the names of the convolutions of 3x3 of a head, "box" or "mask"."""
    return [name for name in (f"{head}.conv{i}" for i in range(4)) if f"{name}.weight" in weights]


def box_head(weights: Weights, *, block: int, precision: Precision) -> Graph:
    """Return the graph from the features of `block` boxes to logits and deltas.

    Input: (block * 49, 256), rows ordered box, y, x; in float32 the transformed weights of its convolutions.
    Output: (block, classes with background) logits; (block, 4 * classes) deltas. Both float32.
    """
    net = _Net(weights)
    cells = _input(CHANNELS)
    rows, kernels = net.cell_convs("box", cells, block, BOX_CELLS, precision)
    flat = _reshape(rows, [block, BOX_CELLS**2 * CHANNELS])
    flat = opset.relu(net.fc("box.fc0", flat))
    if "box.fc1.weight" in weights:
        flat = opset.relu(net.fc("box.fc1", flat))
    return Graph([net.fc("box.logits", flat), net.fc("box.deltas", flat)], [cells, *kernels], "box_head")


def mask_head(weights: Weights, *, block: int, precision: Precision) -> Graph:
    """Return the graph from the features of `block` instances to their masks.

    Inputs: (block * 196, 256), rows ordered instance, y, x; the class filter of each instance,
    (block, 256), and its bias, (block,); in float32 the transformed weights of its convolutions.
    Output: (block, 14, 14, 2, 2) float32 logits; the last two are the row and column within a cell.
    """
    net = _Net(weights)
    cells = _input(CHANNELS)
    filters = opset.parameter([block, CHANNELS], np.float32)
    bias = opset.parameter([block], np.float32)
    rows, kernels = net.cell_convs("mask", cells, block, MASK_CELLS, precision)
    fine = opset.relu(net.fc("mask.up", rows))
    fine = _reshape(fine, [block, MASK_CELLS**2 * 4, CHANNELS])
    logits = opset.matmul(fine, _reshape(filters, [block, CHANNELS, 1]), False, False)
    logits = opset.add(logits, _reshape(bias, [block, 1, 1]))
    masks = _reshape(logits, [block, MASK_CELLS, MASK_CELLS, 2, 2])
    return Graph([masks], [cells, filters, bias, *kernels], "mask_head")


def row_sums(*, taps: int, bags: int) -> Graph:
    """Return the graph that adds up rows of a table.

    Inputs: the table (rows, 256) float32; which rows, (taps,) int32; where each bag of these begins, (bags,)
    int32; the weight of each, (taps,) float32.
    Output: (bags, 256) float32.
    """
    table = _input(CHANNELS)
    indices = opset.parameter([taps], np.int32)
    offsets = opset.parameter([bags], np.int32)
    weights = opset.parameter([taps], np.float32)
    empty_is_zero = opset.constant(np.int32(-1))
    sums = opset.embedding_bag_offsets_sum(table, indices, offsets, empty_is_zero, weights)
    return Graph([sums], [table, indices, offsets, weights], "row_sums")


class _Net:
    """Puts layers together out of the weights."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def conv(self, name: str, x: Node, *, stride: int = 1, relu: bool = False) -> Node:
        weight = self._constant(f"{name}.weight")
        pad = weight.shape[2] // 2
        found = opset.convolution(x, weight, [stride, stride], [pad, pad], [pad, pad], [1, 1])
        # A Reshape of 57 biases would take the engine a tenth of the time that it needs to compile the graph.
        bias = self._weights[f"{name}.bias"].reshape(1, -1, 1, 1)
        found = opset.add(found, opset.constant(bias, shared_memory=True))
        return opset.relu(found) if relu else found

    def fc(self, name: str, x: Node) -> Node:
        weight = self._weights[f"{name}.weight"]
        flat = opset.constant(weight.reshape(len(weight), -1), shared_memory=True)
        found = opset.matmul(x, flat, False, True)
        return opset.add(found, self._constant(f"{name}.bias"))

    def resnet(self, image: Node, stride_in_1x1: bool) -> list[Node]:
        x = self.conv("stem", image, stride=2, relu=True)
        x = opset.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3], "floor", "explicit").output(0)
        stages = []
        for stage, blocks in enumerate(STAGE_BLOCKS, start=1):
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = self._bottleneck(f"stage{stage}.{block}", x, stride, stride_in_1x1)
            stages.append(x)
        return stages

    def _bottleneck(self, name: str, x: Node, stride: int, stride_in_1x1: bool) -> Node:
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        y = self.conv(f"{name}.reduce", x, stride=first, relu=True)
        y = self.conv(f"{name}.spatial", y, stride=second, relu=True)
        y = self.conv(f"{name}.expand", y)
        skip = self.conv(f"{name}.skip", x, stride=stride) if f"{name}.skip.weight" in self._weights else x
        return opset.relu(opset.add(y, skip))

    def merged(self, stages: list[Node]) -> list[Node]:
        x = self.conv("lateral3", stages[3])
        merged = [x]
        for level in (2, 1, 0):
            x = opset.add(self.conv(f"lateral{level}", stages[level]), _twice(x))
            merged.insert(0, x)
        return merged

    def answers(self, x: Node) -> Node:
        for name in rpn_convs(self._weights):
            x = self.conv(name, x, relu=True)
        return self.conv("rpn.answers", x)

    def cell_convs(
        self, head: str, cells: Node, count: int, side: int, precision: Precision
    ) -> tuple[Node, list[Node]]:
        """Return a head's convolutions of `count` boxes of side x side cells, as rows, and their inputs."""
        names = head_convs(self._weights, head)
        if not names:
            return cells, []
        if precision is Precision.BFLOAT16:
            x = _grid(cells, [count, side, side, CHANNELS])
            for name in names:
                x = self.conv(name, x, relu=True)
            return _rows(x, CHANNELS), []
        kernels = [_kernel() for _ in names]
        # One box below the other, each with as many rows as its tiles have.
        height = -(-side // winograd.SIDE) * winograd.SIDE
        block = count * (height // winograd.SIDE) ** 2
        tiled = winograd.places(count * height, side, block).reshape(count, height, side)[:, :side]
        place = np.arange(count * side**2).reshape(tiled.shape)
        for name, kernel in zip(names, kernels, strict=True):
            tiles = np.concatenate([winograd.neighbourhoods(one) for one in place])
            tiles = opset.constant(tiles[:, :, 0].T)
            bias = self._constant(f"{name}.bias")
            cells = opset.relu(
                winograd.convolution(cells, tiles, kernel, bias, inputs=CHANNELS, outputs=CHANNELS)
            )
            place = tiled
        in_order = opset.constant(tiled.reshape(-1).astype(np.int32))
        return opset.gather(cells, in_order, opset.constant(np.int64(0))), kernels

    def _constant(self, name: str) -> Node:
        return opset.constant(self._weights[name], shared_memory=True)


def _tiles(block: int) -> tuple[Node, list[Node]]:
    """Return a convolution of 256 channels for a block of tiles, and its inputs."""
    tiles = opset.parameter([winograd.PRODUCTS, block], np.int32)
    inputs = [_input(CHANNELS), tiles, _kernel(), opset.parameter([CHANNELS], np.float32)]
    return winograd.convolution(*inputs, inputs=CHANNELS, outputs=CHANNELS), inputs


def _kernel() -> Node:
    """Return an input of transformed weights, for which the engine sets no room of its own aside either."""
    return opset.parameter([-1, CHANNELS, CHANNELS], np.float32)


def _input(channels: int, dtype: Any = np.float32) -> Node:
    """Return an input of rows. Were their number told, the engine would set room of its own aside."""
    return opset.parameter([-1, channels], dtype)


def _reshape(x: Node, shape: list[int]) -> Node:
    return opset.reshape(x, opset.constant(np.array(shape, np.int64)), False)


def _rows(x: Node, channels: int) -> Node:
    return _reshape(opset.transpose(x, opset.constant(np.array([0, 2, 3, 1]))), [-1, channels])


def _grid(rows: Node, shape: list[int]) -> Node:
    """Return rows of channels as (N, channels, rows, columns); shape is (N, rows, columns, channels)."""
    return opset.transpose(_reshape(rows, shape), opset.constant(np.array([0, 3, 1, 2])))


def _twice(x: Node) -> Node:
    return opset.interpolate(
        x,
        opset.constant(np.array([2, 2], np.float32)),
        "nearest",
        "scales",
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        axes=opset.constant(np.array([2, 3])),
    )


def _every_second(x: Node) -> Node:
    """Return every second row and column, from the first on."""
    zeros = opset.constant(np.zeros(4, np.int64))
    steps = opset.constant(np.array([1, 1, 2, 2]))
    return opset.strided_slice(x, zeros, zeros, steps, begin_mask=[1] * 4, end_mask=[1] * 4)
