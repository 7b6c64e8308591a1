"""An exported file as the engine reads it: its graph, its input for pictures, and their size."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from flask_detector.detectors.onnx.header import check_header
from flask_detector.detectors.onnx.interpretation import SIDES, Interpretation
from flask_detector.detectors.onnx.signature import Signature
from flask_detector.detectors.openvino_graphs import (
    Port,
    channels_last,
    keep_rows,
    keep_slices,
    metadata_of,
    ports_of,
    reshaped,
)
from flask_detector.detectors.openvino_runtime import Graph, read_graph
from flask_detector.errors import BadParameter, CheckpointError, ForeignCheckpoint

_USUAL_SIDE = 640

# Numbers that an output may have for a picture; the largest masks here are 300 of 1333x1333.
_MOST_NUMBERS = 600_000_000


@dataclass(frozen=True)
class Exported:
    """A file that the engine has read."""

    graph: Graph
    signature: Signature
    is_openvino: bool

    @classmethod
    def read(cls, file: Path, options: Mapping[str, Any]) -> Self:
        """Return it; its signature is that of the size it will be used with.

        options: of `Interpretation`; of these, the size counts here.

        Raises CheckpointError for a file that can't be read or is no detector, and BadParameter for a
        size that it does not take.
        """
        is_openvino = check_header(file)
        try:
            graph = keep_rows(keep_slices(read_graph(file)))
            inputs, _ = ports_of(graph)
            picture = _picture_input(inputs)
            shape = inputs[picture].shape or ()
            metadata = metadata_of(graph)
            sides = shape[-3:-1] if channels_last(shape) else shape[-2:]
            size = _wanted_size(sides, metadata, options)
            inputs, outputs = ports_of(_of_size(graph, picture, size))
        except RuntimeError as error:
            is_quantised = "QLinear" in str(error)
            raise CheckpointError(
                f"The engine can't read the model: {_first_line(error)}",
                hint="It is quantised in operators of ONNX Runtime's own. Quantise it as QDQ: "
                "quantize_static(..., quant_format=QuantFormat.QDQ)."
                if is_quantised
                else "Export it again, with another opset or from a newer version of its program.",
            ) from error
        if not SIDES[0] <= min(size) <= max(size) <= SIDES[1]:
            raise CheckpointError(
                f"The model takes pictures of {size[0]}x{size[1]} pixels; sides of {SIDES[0]} to {SIDES[1]} "
                "are used here.",
                hint="Export it with another size.",
            )
        signature = Signature(inputs, outputs, metadata, picture, size, None in sides)
        for port in outputs:
            if port.shape and np.prod([side or 1 for side in port.shape], dtype=float) > _MOST_NUMBERS:
                raise CheckpointError(
                    f"An output of the model has the shape {port.shape}, which no detector needs.",
                    hint="Export it again.",
                )
        return cls(graph, signature, is_openvino)

    def of_size(self, size: Sequence[int | None]) -> Graph:
        """Return the graph for one picture of that height and width; None for a side that stays open."""
        return _of_size(self.graph, self.signature.picture, size)

    def described(self) -> str:
        """Return inputs and outputs in words."""
        ports = {"inputs": self.signature.inputs, "outputs": self.signature.outputs}
        return "; ".join(
            f"{what} "
            + ", ".join(
                f"{min(port.names, default='unnamed')[:40]} {list(port.shape or ())}" for port in some[:8]
            )
            for what, some in ports.items()
        )


def _picture_input(inputs: Sequence[Port]) -> int:
    def is_picture(shape: Sequence[int | None]) -> bool:
        return len(shape) in {3, 4} and (shape[-3] in {3, None} or shape[-1] == 3)

    found = [i for i, port in enumerate(inputs) if is_picture(port.shape or ())]
    if not found:
        shapes = ", ".join(str(list(port.shape or ())) for port in inputs[:8])
        raise ForeignCheckpoint(
            f"No input of the model takes pictures of three channels; its inputs are {shapes}.",
            hint="Export a detector of colour pictures.",
        )
    shape: Sequence[int | None] = inputs[found[0]].shape or ()
    if len(shape) == 4 and shape[0] not in {1, None}:
        raise ForeignCheckpoint(
            f"The model takes {shape[0]} pictures at once.", hint="Export it with batch size 1."
        )
    return found[0]


def _wanted_size(
    sides: tuple[int | None, ...], metadata: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[int, int]:
    """Return the height and width that a network is used with."""
    said = _pair(metadata.get("imgsz"))
    given = Interpretation(size=said or (_USUAL_SIDE, _USUAL_SIDE)).changed(
        {name: value for name, value in options.items() if name == "size"}
    )
    height, width = (fixed or wanted for fixed, wanted in zip(sides, given.size, strict=True))
    if "size" in options and (height, width) != given.size:
        raise BadParameter(
            f"The model takes pictures of {height}x{width} alone.", hint="Leave the option size out."
        )
    return height, width


def _pair(said: Any) -> tuple[int, int] | None:
    numbers = [int(word) for word in str(said).strip("[]() ").replace(",", " ").split() if word.isdecimal()]
    if len(numbers) not in {1, 2} or not all(32 <= number <= 4096 for number in numbers):
        return None
    return numbers[0], numbers[-1]


def _of_size(graph: Graph, picture: int, size: Sequence[int | None]) -> Graph:
    """Return a copy of a graph that takes one picture of that height and width; None for an open one."""
    shape = ports_of(graph)[0][picture].shape or ()
    sides = [*size, 3] if channels_last(shape) else [3, *size]
    return reshaped(graph.clone(), {picture: [1, *sides] if len(shape) == 4 else sides})


def _first_line(error: Exception) -> str:
    if found := re.search(r"Conversion is failed for: (.+)", str(error)):
        return f"it does not compute {found[1][:300]}"
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    telling = [
        line
        for line in lines
        if not line.startswith(("Exception", "Check", "FrontEnd", "Summary", "Loading"))
    ]
    return (telling or lines or ["it gives no reason"])[0][:300]
