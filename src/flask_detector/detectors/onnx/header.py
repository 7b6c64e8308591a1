"""What an exported file says of itself, before the engine reads it: its nodes, operators and other files.

Only the few fields of the format that these questions need are read, from the mapped file; arrays are stepped
over. Source: onnx.proto of ONNX 1.23 and protobuf's wire format.
"""

import mmap
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from flask_detector.detectors.checkpoint.foreign_files import OPENVINO
from flask_detector.errors import CheckpointError

# The largest detectors have some 3,000 nodes, each of up to 1,000 needing the one before, and quantised ones
# three times as many. The engine's time grows with the square of such a chain: 4,000 take it ten seconds.
MOST_NODES = 20_000
LONGEST_CHAIN = 4_000
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
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11
_EXTERNAL_DATA = 13
_KEY, _VALUE = 1, 2
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_DOMAIN = 1, 7, 10


# Its domain and name.
Operator = tuple[str, str]


@dataclass
class Header:
    """What is in the file.

    nodes: how many there are, with those that functions become where they are used.
    data_files: the names of files with arrays, as they stand there.
    operators: how often each is used. functions: the same within each that the file itself defines.
    sizes: how many nodes each of these becomes.
    chains: of each array between nodes, how many of them at most follow one another up to it.
    """

    nodes: int = 0
    data_files: set[str] = field(default_factory=set)
    operators: Counter[Operator] = field(default_factory=Counter)
    functions: dict[Operator, Counter[Operator]] = field(default_factory=dict)
    sizes: dict[Operator, int] = field(default_factory=dict)
    chains: dict[bytes, int] = field(default_factory=dict)


def check_header(path: Path) -> bool:
    """Return whether a file is OpenVINO's own instead of ONNX; memory and time are bounded.

    Raises CheckpointError for one that the engine shall not see, in words.

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
        return True
    header = Header()
    try:
        _read_model(content, header)
    except (IndexError, UnicodeDecodeError) as error:
        raise CheckpointError("The ONNX file is damaged or cut short.") from error
    if not header.operators:
        raise CheckpointError("The ONNX file has no graph.", hint="Export the model again.")
    known = _DOMAINS | {domain for domain, _ in header.functions}
    used = set(header.operators).union(*header.functions.values())
    if unknown := sorted(f"{domain}.{name}" for domain, name in used if domain not in known):
        raise CheckpointError(
            f"The model needs operators that are not part of ONNX: {', '.join(unknown[:5])}.",
            hint="Export it for ONNX Runtime instead of another engine, without its suppression if need be.",
        )
    _check_data_files(path, header.data_files, or_else=f" {_ONE_FILE}")
    return False


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
    messages = list(_messages(content))
    for _, function in filter(lambda message: message[0] == _FUNCTIONS, messages):
        parts = list(_messages(function))
        name = {number: _text(part) for number, part in parts if number != _FUNCTION_NODE}
        body: Counter[Operator] = Counter()
        for number, node in parts:
            if number == _FUNCTION_NODE:
                _read_node(node, header, body, 0)
        header.functions[name.get(_FUNCTION_DOMAIN, ""), name.get(_FUNCTION_NAME, "")] = body
    header.sizes = _sizes(header.functions)
    for number, graph in messages:
        if number == _GRAPH:
            _read_graph(graph, header, header.operators, 0)


def _sizes(functions: Mapping[Operator, Counter[Operator]]) -> dict[Operator, int]:
    """Return how many nodes each function becomes, those in it included."""
    sizes: dict[Operator, int] = {}
    for _ in range(_DEEPEST + 2):
        before = sizes
        sizes = {
            name: 1 + sum(count * before.get(inner, 1) for inner, count in body.items())
            for name, body in functions.items()
        }
        if sizes == before:
            return sizes
    raise CheckpointError(
        f"The model has functions in themselves, or in more than {_DEEPEST} others.", hint=_EXPORT_AGAIN
    )


def _read_graph(content: memoryview, header: Header, uses: Counter[Operator], depth: int) -> int:
    """Note what is in a graph; return how many nodes at most follow one another up to its end."""
    longest = 0
    for number, value in _messages(content):
        if number == _NODE:
            longest = max(longest, _read_node(value, header, uses, depth))
        elif number == _INITIALIZER:
            _read_tensor(value, header)
    return longest


def _read_node(content: memoryview, header: Header, uses: Counter[Operator], depth: int) -> int:
    """Note what is in a node; return how many at most follow one another up to it."""
    if depth > _DEEPEST:
        raise CheckpointError(f"The model has graphs in more than {_DEEPEST} others.", hint=_EXPORT_AGAIN)
    parts: defaultdict[int, list[memoryview]] = defaultdict(list)
    for number, value in _messages(content):
        parts[number].append(value)
    domain, name = (_text(b"".join(parts[number][-1:])) for number in (_DOMAIN, _OP_TYPE))
    uses[domain, name] += 1
    size = header.sizes.get((domain, name), 1)
    header.nodes += max(size, len(parts[_OUTPUT]))
    if header.nodes > MOST_NODES:
        raise CheckpointError(f"The model has more than {MOST_NODES} nodes.", hint=_EXPORT_AGAIN)
    length = max((header.chains.get(bytes(array), 0) for array in parts[_INPUT]), default=0)
    for kind, part in (message for attribute in parts[_ATTRIBUTE] for message in _messages(attribute)):
        if kind in {_SUBGRAPH, _SUBGRAPHS}:
            length = max(length, _read_graph(part, header, uses, depth + 1))
        elif kind in {_TENSOR, _TENSORS}:
            _read_tensor(part, header)
    length += size
    if length > LONGEST_CHAIN:
        raise CheckpointError(
            f"More than {LONGEST_CHAIN} nodes of the model follow one another.", hint=_EXPORT_AGAIN
        )
    header.chains |= {bytes(array): length for array in parts[_OUTPUT]}
    return length


def _read_tensor(content: memoryview, header: Header) -> None:
    for number, value in _messages(content):
        if number == _EXTERNAL_DATA:
            entry = {key: _text(part) for key, part in _messages(value)}
            if entry.get(_KEY) == "location":
                header.data_files.add(entry.get(_VALUE, ""))


def _text(value: memoryview | bytes) -> str:
    if len(value) > _LONGEST_TEXT:
        raise IndexError("a name is too long")
    return bytes(value).decode()


def _messages(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield those fields of a message that have bytes, and their number."""
    for number, value in _fields(content):
        if isinstance(value, memoryview):
            yield number, value


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
