"""Sessions of the inference engine, OpenVINO, which no other module imports."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

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
    "Precision",
    "Session",
    "cpu_has_bfloat16",
    "engine",
    "opset",
    "read_graph",
    "save_graph",
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


def save_graph(graph: ov.Model, path: Path) -> None:
    """Write a graph as OpenVINO's .xml, with its .bin beside it, in the numbers that it has."""
    ov.save_model(graph, path, compress_to_fp16=False)


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
