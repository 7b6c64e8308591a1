"""What is known of an exported model from the outside: its inputs, outputs and metadata."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask_detector.detectors.openvino_graphs import Port

# Rows of objects; cells are more, even of small pictures.
_LONGEST_LIST = 1000

# Of the grids of YOLOs by the anchors in each cell: the usual ones, and of their large and tiny versions.
_STRIDES = {1: [(8, 16, 32), (8, 16, 32, 64)], 3: [(8, 16, 32), (8, 16, 32, 64), (16, 32)]}


@dataclass(frozen=True)
class Signature:
    """What is known of an exported model from the outside.

    picture: the number of the input that takes pictures. size: its height and width; where these are open,
        those that it is used with.
    is_open: whether they are open.
    metadata: what its exporter wrote, as text or plain containers.
    """

    inputs: "tuple[Port, ...]"
    outputs: "tuple[Port, ...]"
    metadata: Mapping[str, Any]
    picture: int
    size: tuple[int, int]
    is_open: bool

    def said(self, name: str) -> Any:
        """Return what the metadata say of something, parsed where it is Python's text of a container."""
        value = self.metadata.get(name)
        if isinstance(value, str) and value[:1] in {"{", "[", "("} and len(value) < 1 << 18:
            try:
                return ast.literal_eval(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
        return value

    def named(self, *names: str) -> tuple[int, ...] | None:
        """Return the numbers of the outputs of those names; None where one of them is missing."""
        found = []
        for name in names:
            numbers = [i for i, port in enumerate(self.outputs) if name in port.names]
            if not numbers:
                return None
            found.append(numbers[0])
        return tuple(found)

    def of_rank(self, rank: int) -> list[int]:
        """Return the numbers of the outputs with so many axes, in floating point."""
        return [i for i, port in enumerate(self.outputs) if port.is_float and len(port.shape or ()) == rank]

    def shape(self, number: int) -> tuple[int, ...]:
        """Return an output's shape, with -1 for what is open."""
        return tuple(-1 if side is None else side for side in self.outputs[number].shape or ())

    def is_list(self, number: int) -> bool:
        """Tell whether an output (1, rows, …) has rows of few objects, not of cells."""
        rows = self.shape(number)[1]
        return 0 < rows <= _LONGEST_LIST and not self.are_cells(rows) and not self.are_cells(rows, 3)

    def are_cells(self, count: int, anchors: int = 1) -> bool:
        """Tell whether so many are what the grids of a YOLO have, with 1 or 3 anchors in each cell."""
        height, width = self.size
        return count in {
            anchors * sum(height // stride * (width // stride) for stride in strides)
            for strides in _STRIDES[anchors]
        }
