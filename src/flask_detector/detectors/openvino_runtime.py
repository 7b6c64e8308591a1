"""Sessions of the inference engine. This is the only module that knows which engine it is (OpenVINO)."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

# The engine imports its model converter where it finds it, and that one reports each import to Google
# Analytics and keeps an identifier in the user's home folder. Nothing here needs the converter.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]  # typeshed leaves out that None forbids

import openvino as ov  # noqa: E402  # after that
import openvino.opset15 as opset  # noqa: E402  # after that

from flask_detector.process import matrix_products  # noqa: E402  # after that

__all__ = [
    "BFLOAT16",
    "Array",
    "Graph",
    "Port",
    "Precision",
    "Session",
    "channels_last",
    "chosen",
    "cpu_has_bfloat16",
    "engine",
    "keep_rows",
    "keep_slices",
    "metadata_of",
    "opset",
    "ports_of",
    "read_graph",
    "reshaped",
    "save_graph",
    "taking_pixels",
]

Array = npt.NDArray[Any]
Graph = ov.Model
BFLOAT16 = ov.Type.bf16


class Precision(StrEnum):
    """In which numbers a network computes."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"

    def resolved(self) -> "Precision":
        """Return the precision itself, or for AUTO the one that suits the processor."""
        if self is not Precision.AUTO:
            return self
        return Precision.BFLOAT16 if cpu_has_bfloat16() else Precision.FLOAT32


@cache
def engine() -> ov.Core:
    """Return the process's one engine."""
    # The library that makes the kernels would keep up to 1024 of them itself. It reads this at its first one.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")
    # What numpy computes between two graphs is little, and its threads would take cores from the engine's.
    matrix_products.use_one_thread()
    return ov.Core()


def cpu_has_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16 itself; emulated it is very slow."""
    return "BF16" in engine().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def read_graph(path: Path) -> ov.Model:
    """Return the graph of an ONNX or OpenVINO file."""
    return engine().read_model(path)


def keep_slices(graph: ov.Model) -> ov.Model:
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


def keep_rows(graph: ov.Model) -> ov.Model:
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


def save_graph(graph: ov.Model, path: Path) -> None:
    """Write a graph as OpenVINO's .xml, with its .bin beside it, in the numbers that it has."""
    ov.save_model(graph, path, compress_to_fp16=False)


class Port(NamedTuple):
    """An input or an output of a graph.

    shape: None for a side that is open, and in place of all where their very number is open.
    is_float: whether its numbers are.
    """

    names: frozenset[str]
    shape: tuple[int | None, ...] | None
    is_float: bool


def ports_of(graph: ov.Model) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return a graph's inputs and its outputs."""

    def port(found: Any) -> Port:
        sides = None
        if found.partial_shape.rank.is_static:
            sides = tuple(None if side.is_dynamic else side.get_length() for side in found.partial_shape)
        return Port(frozenset(found.names), sides, found.element_type.is_real())

    return tuple(map(port, graph.inputs)), tuple(map(port, graph.outputs))


def metadata_of(graph: ov.Model) -> dict[str, Any]:
    """Return what the program that exported a graph wrote about it, ONNX's metadata or OpenVINO's."""
    found: dict[str, Any] = {}
    for section in ("framework", "model_info"):
        if section in graph.get_rt_info():
            entries = graph.get_rt_info(section).value
            found |= {str(key): getattr(value, "value", value) for key, value in entries.items()}
    return found


def reshaped(graph: ov.Model, shapes: Mapping[int, Sequence[int | None]]) -> ov.Model:
    """Set the shapes of some inputs, by their index; None for a side that stays open."""
    graph.reshape(
        {
            graph.input(index): ov.PartialShape(
                [ov.Dimension(-1 if side is None else side) for side in shape]
            )
            for index, shape in shapes.items()
        }
    )
    return graph


def chosen(
    graph: ov.Model, picture: int, constants: Mapping[int, Array | None], outputs: Sequence[int]
) -> ov.Model:
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
    graph: ov.Model, kind: npt.DTypeLike, *, bgr: bool, mean: Sequence[float], std: Sequence[float]
) -> ov.Model:
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


def _ints(*numbers: int) -> Any:
    return opset.constant(np.array(numbers, np.int64))


# The engine's and its kernels' words for it.
_OUT_OF_MEMORY: Final = re.compile(
    r"can't alloc|Failed to allocate|bad_alloc|bad allocation|out of memory|could not create a memory"
)


class Session:
    """One compiled graph with one request of its own."""

    def __init__(
        self,
        graph: ov.Model,
        *,
        threads: int,
        precision: Precision = Precision.FLOAT32,
        is_openvino_int8: bool = False,
    ) -> None:
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # The engine would take bfloat16 by itself where the CPU has it.
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision.resolved()],
            # Several processes pinned to the same cores lose 40% of their speed.
            "ENABLE_CPU_PINNING": False,
            # Graphs that others quantised compute in floats: in 8 bits the engine rounds elsewhere than they
            # say, and is up to 25 times as far off. Those quantised for it are made for its own rounding.
            "LP_TRANSFORMS_MODE": is_openvino_int8,
        }
        if graph.is_dynamic():
            # Kernels are made for one size of picture. Keeping those of every size that ever came would cost
            # up to 90 MB; making them anew whenever the size changes costs NanoDet 12 ms.
            properties["CPU_RUNTIME_CACHE_CAPACITY"] = 0
        with _telling_of_memory():
            self._compiled = engine().compile_model(graph, "CPU", properties)
            self._request = self._compiled.create_infer_request()

    def run(self, inputs: Sequence[Array], outputs: Sequence[Array] = ()) -> list[Array]:
        """Return the outputs for the inputs, in the graph's order; see `bind` for the arrays.

        Outputs without an array of ours are the engine's own memory: they hold until the next run or release.

        Raises MemoryError where the engine gets less memory than it needs.
        """
        self.bind(inputs, outputs)
        # infer() would copy every output.
        try:
            with _telling_of_memory():
                self._request.start_async()
                self._request.wait()
        except MemoryError:
            self.release()  # what it has got by then would be missing for the next picture
            raise
        return [self._request.get_output_tensor(i).data for i in range(len(self._compiled.outputs))]

    def bind(self, inputs: Sequence[Array], outputs: Sequence[Array] = ()) -> None:
        """Say which arrays hold the inputs, and take the first outputs, of the runs to come.

        Until then the engine keeps room of its own for them; doing this before the first run saves that.

        inputs: of the graph's shapes and types. outputs: these too, C-contiguous. Numpy has no bfloat16: its
        bits come and go as uint16.
        """
        for index, array in enumerate(inputs):
            self._request.set_input_tensor(index, _shared(np.ascontiguousarray(array)))
        for index, array in enumerate(outputs):
            self._request.set_output_tensor(index, _shared(array))

    def release(self) -> None:
        """Give the memory of intermediate results back; the next run takes it again.

        Outputs of earlier runs that are the engine's own memory must not be used any more.
        """
        self._compiled.release_memory()


@contextmanager
def _telling_of_memory() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)) is None:
            raise
        raise MemoryError("the engine gets less memory than it needs") from error


def _shared(array: Array) -> ov.Tensor:
    """Return an array as the engine takes it, without a copy."""
    if array.dtype == np.uint16:
        return ov.Tensor(array, ov.Shape(array.shape), BFLOAT16)
    return ov.Tensor(array, shared_memory=True)
