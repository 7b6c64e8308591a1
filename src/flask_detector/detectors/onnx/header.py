"""What an exported file says of itself, before the engine reads it: its nodes, operators and other files.

Only the few fields of the format that these questions need are read, from the mapped file; arrays are stepped
over. Source: onnx.proto of ONNX 1.23 and protobuf's wire format.
"""

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from flask_detector.detectors.checkpoint.foreign_files import OPENVINO
from flask_detector.errors import CheckpointError

# The largest detectors have some 10,000 nodes.
MOST_NODES = 100_000
MOST_BYTES = 2_000_000_000

_DEEPEST = 8
_LONGEST_TEXT = 1024
_DOMAINS = {"", "ai.onnx", "com.microsoft", "org.openvinotoolkit"}
_EXPORT_AGAIN = "No detector needs so many; export it again."
_ONE_FILE = (
    "Save it as one file, which holds its arrays itself:\n"
    '    import onnx\n    onnx.save(onnx.load("FILE"), "one.onnx", save_as_external_data=False)'
)

# Fields by their number: of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, its entries and
# FunctionProto.
_GRAPH, _FUNCTIONS = 7, 25
_NODE, _INITIALIZER = 1, 5
_OP_TYPE, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11
_EXTERNAL_DATA = 13
_KEY, _VALUE = 1, 2
_FUNCTION_NODE, _FUNCTION_DOMAIN = 7, 10


@dataclass
class Header:
    """What is in the file.

    data_files: the names of files with arrays, as they stand there.
    operators: domain and name of each. functions: the domains of those that the file itself defines.
    """

    nodes: int = 0
    data_files: set[str] = field(default_factory=set)
    operators: set[tuple[str, str]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def check_header(path: Path) -> None:
    """Raise CheckpointError for a file that the engine shall not see, in words; memory and time are bounded.

    That is one that is no ONNX, too large or with too many nodes, one with operators that no standard has,
    and one whose arrays lie outside its folder.
    """
    size = path.stat().st_size
    if size >= MOST_BYTES:
        raise CheckpointError(
            f"The file has {size / 1e9:.1f} GB; an ONNX model has less than 2.",
            hint="Export it in half precision, or a smaller one.",
        )
    if size == 0:
        raise CheckpointError("The file is empty.")
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if re.match(OPENVINO, content):
        _check_openvino(path, content)
        return
    header = Header()
    try:
        _read_model(content, header)
    except (IndexError, UnicodeDecodeError) as error:
        raise CheckpointError("The ONNX file is damaged or cut short.") from error
    if header.nodes == 0:
        raise CheckpointError("The ONNX file has no graph.", hint="Export the model again.")
    known = _DOMAINS | header.functions
    if unknown := sorted(f"{domain}.{name}" for domain, name in header.operators if domain not in known):
        raise CheckpointError(
            f"The model needs operators that are not part of ONNX: {', '.join(unknown[:5])}.",
            hint="Export it for ONNX Runtime instead of another engine, without its suppression if need be.",
        )
    _check_data_files(path, header.data_files, or_else=f" {_ONE_FILE}")


def _check_openvino(path: Path, content: memoryview) -> None:
    if any(islice(re.finditer(rb"<layer\s", content), MOST_NODES, None)):
        raise CheckpointError(f"The model has more than {MOST_NODES} nodes.", hint=_EXPORT_AGAIN)
    _check_data_files(path, {path.with_suffix(".bin").name})


def _check_data_files(path: Path, names: set[str], *, or_else: str = "") -> None:
    folder, total = path.parent.resolve(), path.stat().st_size
    for name in sorted(names):
        file = None if "\0" in name else (folder / name).resolve()
        if file is None or not file.is_relative_to(folder):
            raise CheckpointError(
                "The model's arrays lie in a file outside its folder, which is not read.", hint=_ONE_FILE
            )
        if not os.path.isfile(file):  # unlike a path's, it takes a name that is too long for one of no file
            raise CheckpointError(
                f"The model's arrays lie in another file, {name[:100]}, which is not here.",
                hint=f"Send them together, or 'models add' it where they are in one folder.{or_else}",
            )
        total += file.stat().st_size
    if total >= MOST_BYTES:
        raise CheckpointError(
            f"The model has {total / 1e9:.1f} GB with the files beside it; less than 2 are read.",
            hint="Export it in half precision, or a smaller one.",
        )


def _read_model(content: memoryview, header: Header) -> None:
    for number, value in _fields(content):
        if number == _GRAPH and isinstance(value, memoryview):
            _read_graph(value, header, 0)
        elif number == _FUNCTIONS and isinstance(value, memoryview):
            for inner, part in _fields(value):
                if inner == _FUNCTION_NODE and isinstance(part, memoryview):
                    _read_node(part, header, 0)
                elif inner == _FUNCTION_DOMAIN and isinstance(part, memoryview):
                    header.functions.add(_text(part))


def _read_graph(content: memoryview, header: Header, depth: int) -> None:
    for number, value in _fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == _NODE:
            _read_node(value, header, depth)
        elif number == _INITIALIZER:
            _read_tensor(value, header)


def _read_node(content: memoryview, header: Header, depth: int) -> None:
    header.nodes += 1
    if header.nodes > MOST_NODES or depth > _DEEPEST:
        raise CheckpointError(
            f"The model has more than {MOST_NODES} nodes, or graphs in more than {_DEEPEST} others.",
            hint=_EXPORT_AGAIN,
        )
    operator = domain = ""
    for number, value in _fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == _OP_TYPE:
            operator = _text(value)
        elif number == _DOMAIN:
            domain = _text(value)
        elif number == _ATTRIBUTE:
            for kind, part in _fields(value):
                if not isinstance(part, memoryview):
                    continue
                if kind in {_SUBGRAPH, _SUBGRAPHS}:
                    _read_graph(part, header, depth + 1)
                elif kind in {_TENSOR, _TENSORS}:
                    _read_tensor(part, header)
    header.operators.add((domain, operator))


def _read_tensor(content: memoryview, header: Header) -> None:
    for number, value in _fields(content):
        if number == _EXTERNAL_DATA and isinstance(value, memoryview):
            entry = {key: _text(part) for key, part in _fields(value) if isinstance(part, memoryview)}
            if entry.get(_KEY) == "location":
                header.data_files.add(entry.get(_VALUE, ""))


def _text(value: memoryview) -> str:
    if len(value) > _LONGEST_TEXT:
        raise IndexError("a name is too long")
    return bytes(value).decode()


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the fields of a message: number, and its bytes or its number. Raises IndexError past the end."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == 2:
            length, place = _varint(content, place)
            if place + length > len(content):
                raise IndexError("a field is longer than its message")
            yield tag >> 3, content[place : place + length]
            place += length
        elif kind == 0:
            number, place = _varint(content, place)
            yield tag >> 3, number
        elif kind in {1, 5}:
            place += 8 if kind == 1 else 4
        else:
            raise IndexError("no field begins so")


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 70:
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    raise IndexError("a number is too long")
