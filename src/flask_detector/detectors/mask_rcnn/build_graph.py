"""The network as graphs of the inference engine, built from the converted weights.

What is between these graphs is done outside (anchors, decoding, suppression):

- features: a picture -> the pyramid's maps P2..P5
- proposals: these maps -> the proposal network's answers on P2..P6. In one graph with the features the
  engine would keep a second copy of all maps, because they are results and still in use.
- row sums: maps -> the features of boxes, which is RoIAlign
- box head: the features of a block of boxes -> class logits and box deltas
- mask head: the features of a block of instances -> the mask of each one's class

Maps leave and enter as rows of channels, (height * width, 256): that is how the engine holds them inside,
so nothing is moved around, and RoIAlign wants rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.layers import BOX_CELLS, CHANNELS, MASK_CELLS, STAGE_BLOCKS
from flask_detector.detectors.openvino_runtime import BFLOAT16, Graph, opset

Weights = Mapping[str, npt.NDArray[np.float32]]
Node = Any


def features(
    weights: Weights,
    *,
    height: int,
    width: int,
    stride_in_1x1: bool,
    dtype: type[np.floating] = np.float32,
    halved: bool = False,
) -> Graph:
    """Return the graph from a padded picture to maps.

    height, width: of the padded picture, multiples of 32.
    dtype: of its pixels.
    halved: give the maps in bfloat16.

    Input: (height * width, 3), normalised, in the model's order of channels.
    Outputs: P2..P5, each (rows * columns, 256).
    """
    net = _Net(weights)
    picture = _input(3, dtype)
    image = opset.convert(_grid(picture, [1, height, width, 3]), np.float32)
    stages = net.resnet(image, stride_in_1x1)
    levels = [_rows(level, CHANNELS) for level in net.pyramid(stages)]
    if halved:
        levels = [opset.convert(level, BFLOAT16) for level in levels]
    return Graph(levels, [picture], "features")


def proposals(weights: Weights, grids: Sequence[tuple[int, int]], *, halved: bool = False) -> Graph:
    """Return the graph from maps to the proposal network's answers.

    grids: rows and columns of P2..P5.
    halved: take the maps in bfloat16.

    Inputs: P2..P5, each (rows * columns, 256).
    Outputs: for P2..P6, (rows * columns, 15): three logits, then four deltas for each of the three anchors.
    """
    net = _Net(weights)
    maps = [_input(CHANNELS, BFLOAT16 if halved else np.float32) for _ in grids]
    rows = [opset.convert(one, np.float32) for one in maps] if halved else maps
    levels = [_grid(one, [1, *grid, CHANNELS]) for one, grid in zip(rows, grids, strict=True)]
    answers = [_rows(net.answers(level), 15) for level in [*levels, _every_second(levels[-1])]]
    return Graph(answers, maps, "proposals")


def box_head(weights: Weights, *, block: int) -> Graph:
    """Return the graph from the features of `block` boxes to logits and deltas.

    Input: (block * 49, 256), rows ordered box, y, x.
    Outputs: (block, classes with background) logits; (block, 4 * classes) deltas. Both float32.
    """
    net = _Net(weights)
    cells = _input(CHANNELS)
    flat = cells
    if "box.conv0.weight" in weights:
        grid = _grid(cells, [block, BOX_CELLS, BOX_CELLS, CHANNELS])
        for i in range(4):
            grid = net.conv(f"box.conv{i}", grid, relu=True)
        flat = opset.transpose(grid, opset.constant(np.array([0, 2, 3, 1])))
    flat = _reshape(flat, [block, BOX_CELLS**2 * CHANNELS])
    flat = opset.relu(net.fc("box.fc0", flat))
    if "box.fc1.weight" in weights:
        flat = opset.relu(net.fc("box.fc1", flat))
    return Graph([net.fc("box.logits", flat), net.fc("box.deltas", flat)], [cells], "box_head")


def mask_head(weights: Weights, *, block: int) -> Graph:
    """Return the graph from the features of `block` instances to their masks.

    Inputs: (block * 196, 256), rows ordered instance, y, x; the class filter of each instance,
    (block, 256), and its bias, (block,).
    Output: (block, 14, 14, 2, 2) float32 logits; the last two are the row and column within a cell.
    """
    net = _Net(weights)
    cells = _input(CHANNELS)
    filters = opset.parameter([block, CHANNELS], np.float32)
    bias = opset.parameter([block], np.float32)
    grid = _grid(cells, [block, MASK_CELLS, MASK_CELLS, CHANNELS])
    for i in range(4):
        grid = net.conv(f"mask.conv{i}", grid, relu=True)
    rows = _reshape(
        opset.transpose(grid, opset.constant(np.array([0, 2, 3, 1]))), [block * MASK_CELLS**2, CHANNELS]
    )
    fine = opset.relu(net.fc("mask.up", rows))
    fine = _reshape(fine, [block, MASK_CELLS**2 * 4, CHANNELS])
    logits = opset.matmul(fine, _reshape(filters, [block, CHANNELS, 1]), False, False)
    logits = opset.add(logits, _reshape(bias, [block, 1, 1]))
    masks = _reshape(logits, [block, MASK_CELLS, MASK_CELLS, 2, 2])
    return Graph([masks], [cells, filters, bias], "mask_head")


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
        found = opset.add(found, _reshape(self._constant(f"{name}.bias"), [1, -1, 1, 1]))
        return opset.relu(found) if relu else found

    def fc(self, name: str, x: Node) -> Node:
        found = opset.matmul(x, self._constant(f"{name}.weight"), False, True)
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

    def pyramid(self, stages: list[Node]) -> list[Node]:
        x = self.conv("lateral3", stages[3])
        merged = [x]
        for level in (2, 1, 0):
            x = opset.add(self.conv(f"lateral{level}", stages[level]), _twice(x))
            merged.insert(0, x)
        return [self.conv(f"pyramid{level}", x) for level, x in enumerate(merged)]

    def answers(self, x: Node) -> Node:
        x = self.conv("rpn.conv0", x, relu=True)
        if "rpn.conv1.weight" in self._weights:
            x = self.conv("rpn.conv1", x, relu=True)
        return self.conv("rpn.answers", x)

    def _constant(self, name: str) -> Node:
        return opset.constant(self._weights[name], shared_memory=True)


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
