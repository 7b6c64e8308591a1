"""Graphs that other programs exported: what they say of themselves, and what is changed to serve them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.openvino_runtime import Array, Graph, opset


class Port(NamedTuple):
    """An input or an output of a graph.

    shape: None for a side that is open, and in place of all where their very number is open.
    is_float: whether its numbers are.
    """

    names: frozenset[str]
    shape: tuple[int | None, ...] | None
    is_float: bool


def ports_of(graph: Graph) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return a graph's inputs and its outputs."""

    def port(found: Any) -> Port:
        sides = None
        if found.partial_shape.rank.is_static:
            sides = tuple(None if side.is_dynamic else side.get_length() for side in found.partial_shape)
        return Port(frozenset(found.names), sides, found.element_type.is_real())

    return tuple(map(port, graph.inputs)), tuple(map(port, graph.outputs))


def metadata_of(graph: Graph) -> dict[str, Any]:
    """Return what the program that exported a graph wrote about it, ONNX's metadata or OpenVINO's."""
    found: dict[str, Any] = {}
    for section in ("framework", "model_info"):
        if section in graph.get_rt_info():
            entries = graph.get_rt_info(section).value
            found |= {str(key): getattr(value, "value", value) for key, value in entries.items()}
    return found


def reshaped(graph: Graph, shapes: Mapping[int, Sequence[int | None]]) -> Graph:
    """Set the shapes of some inputs, by their index; None for a side that stays open."""
    graph.reshape(
        {
            graph.input(index): [-1 if side is None else side for side in shape]
            for index, shape in shapes.items()
        }
    )
    return graph


def chosen(
    graph: Graph, picture: int, constants: Mapping[int, Array | None], outputs: Sequence[int]
) -> Graph:
    """Return the graph with one input, that of the picture, and some of its outputs, in that order.

    constants: the numbers of the other inputs; None for ones, (1, H, W) as the picture.
    """
    node = graph.input(picture).node
    for index, array in constants.items():
        target = graph.input(index)
        kind = target.element_type.to_dtype()
        if array is None:
            sides = opset.gather(opset.shape_of(node.output(0)), _ints(0, 2, 3), _ints(0))
            source = opset.broadcast(opset.constant(np.ones((), kind)), sides)
        else:
            source = opset.constant(array.astype(kind))
        target.replace(source.output(0))
    results = [graph.output(index).node.input(0).get_source_output() for index in outputs]
    return Graph(results, [node], graph.get_friendly_name())


def taking_pixels(
    graph: Graph, kind: npt.DTypeLike, *, bgr: bool, mean: Sequence[float], std: Sequence[float]
) -> Graph:
    """Return the graph of a network with one input from pixels (1, H, W, 3), RGB, to its outputs.

    kind: of the pixels' numbers. The network takes channels first or last, with a batch or without.

    mean, std: of the channels as the network takes them, of numbers in 0..255.
    """
    wanted = graph.input(0)
    sides = [-1 if side.is_dynamic else side.get_length() for side in wanted.partial_shape]
    has_channels_last = channels_last(sides)
    height_width = sides[-3:-1] if has_channels_last else sides[-2:]
    pixels = opset.parameter([1, *height_width, 3], kind)
    x = opset.convert(pixels, np.float32)
    if bgr:
        x = opset.gather(x, _ints(2, 1, 0), _ints(3))
    if any(mean):
        x = opset.subtract(x, opset.constant(np.array(mean, np.float32)))
    if any(number != 1 for number in std):
        x = opset.divide(x, opset.constant(np.array(std, np.float32)))
    if not has_channels_last:
        x = opset.transpose(x, _ints(0, 3, 1, 2))
    if len(sides) == 3:
        x = opset.squeeze(x, _ints(0))
    wanted.replace(opset.convert(x, wanted.element_type.to_dtype()).output(0))
    results = [output.node.input(0).get_source_output() for output in graph.outputs]
    floats = [opset.convert(result, np.float32).output(0) for result in results]
    return Graph(floats, [pixels], graph.get_friendly_name())


def channels_last(shape: Sequence[int | None]) -> bool:
    """Tell whether pictures of that shape have their channels last."""
    return shape[-1] == 3 and shape[-3] != 3


def keep_slices(graph: Graph) -> Graph:
    """Have elements be gathered from the first columns of an array, where the engine would take all of them.

    OpenVINO 2026.4.1 leaves out a slice from the beginning, whichever axis elements are gathered along then.
    """
    for node in graph.get_ops():
        cut = node.input_value(0).node if node.get_type_name() == "GatherElements" else None
        if cut is None or cut.get_type_name() != "Slice" or cut.get_input_size() < 5:
            continue
        start, axis = cut.input_value(1).node, cut.input_value(4).node
        if any(one.get_type_name() != "Constant" or one.get_data().size != 1 for one in (start, axis)):
            continue
        side = list(cut.output(0).partial_shape)[int(axis.get_data()[0])]
        if start.get_data()[0] == 0 and side.is_static:
            first = opset.gather(cut.input_value(0), _ints(*range(side.get_length())), axis)
            node.input(0).replace_source_output(first.output(0))
    return graph


def keep_rows(graph: Graph) -> Graph:
    """Have no array to which others are appended be empty: one row more, which is cut off afterwards.

    After an empty array of one column OpenVINO 2026.4.1 appends along the wrong axis, and beyond its memory.
    """
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Loop":
            keep_rows(node.get_function())
        first = node.input_value(0).node if node.get_type_name() == "Concat" else None
        if first is None or first.get_type_name() != "Broadcast":
            continue
        shape = first.output(0).partial_shape
        if shape.is_static or shape.rank.is_dynamic or len(shape) < 2:
            continue
        axis = node.get_attributes()["axis"] % len(shape)
        one = opset.convert_like(_ints(*(int(i == axis) for i in range(len(shape)))), first.input_value(1))
        longer = opset.broadcast(first.input_value(0), opset.add(first.input_value(1), one))
        rest = [port.get_source_output() for port in node.inputs()[1:]]
        appended = opset.concat([longer, *rest], axis)
        cut = opset.slice(appended, _ints(1), _ints(np.iinfo(np.int64).max), _ints(1), _ints(axis))
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(cut.output(0))
    return graph


def _ints(*numbers: int) -> Any:
    return opset.constant(np.array(numbers, np.int64))
