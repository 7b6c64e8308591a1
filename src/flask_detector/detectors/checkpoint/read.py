"""Reading checkpoints without torch, and without running anything that is in them.

Four forms are known by their first bytes: PyTorch's zip archive (since version 1.6), PyTorch's stream before
that, a pickle of numpy's arrays (Detectron2's model zoo), and safetensors. Files are mapped into memory; a
tensor's values are read when they are asked for.

Sources: torch/serialization.py, torch/_utils.py (the names in the pickles).
"""

import mmap
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.checkpoint import foreign_files, safe_pickle
from flask_detector.detectors.checkpoint.numpy_arrays import Array
from flask_detector.detectors.checkpoint.safetensors import read_safetensors
from flask_detector.detectors.checkpoint.tensors import Bytes, Tensor
from flask_detector.detectors.checkpoint.torch_globals import Names, Storages
from flask_detector.errors import CheckpointError


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    tensors: by name, in the file's order; where it has several sets of weights, those that were chosen.
    meta: what the file says besides, as plain containers; the weights are left out.
    notes: what was chosen, for people.
    others: sets of weights that were not chosen, by where they are, those first that are more likely.
    """

    tensors: Mapping[str, Tensor]
    meta: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the tensors of a .pth, .pkl or .safetensors file.

    The state dict may lie anywhere in dicts and tuples. Where there are several, the averaged one is taken,
    else the one under a usual name, such as MMDetection's ("state_dict") or torchvision's ("model").

    Raises CheckpointError, with the file's name, when the file is missing, damaged or of another kind;
    UnsafeCheckpoint when it names functions or the system, or holds objects of other classes and no state
    dict; objects next to one are left out.
    """
    try:
        content = _mapped(path)
        if content[:4].tobytes() == b"PK\x03\x04":
            return _of_object(*_read_zip(path, content))
        if len(content) > 9 and content[8] == ord("{"):
            return Checkpoint(*read_safetensors(content))
        return _of_object(*_read_pickle(content))
    except safe_pickle.UnknownName as error:
        explained = foreign_files.other_pickle(error.name)
        raise type(explained)(f"{path.name}: {explained.message}", hint=explained.hint) from error
    except CheckpointError as error:
        raise type(error)(f"{path.name}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise CheckpointError(
            f"{path.name}: the file can't be read ({error.strerror}).",
            hint="Check its place and its permissions.",
        ) from error


def _mapped(path: Path) -> Bytes:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise CheckpointError("The file is empty.")
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


# --- the state dict among what else is saved

# Where programs keep it; the first that is there counts.
_PLACES = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights")

# Weights averaged over the steps of a training, by the keys that lead to them.
AVERAGED = re.compile(r"(^|[_.])(ema|swa|avg|averaged?|teacher)([_.]|$)", re.IGNORECASE)

# No honest file has its tensors deeper; it bounds what is looked through.
_DEEPEST = 6

# Every network has more tensors than that; what lies beside a pickled model, as its optimizer's state, has
# not.
_FEW = 20


@dataclass(frozen=True, eq=False)
class _StateDict:
    path: str
    tensors: dict[str, Tensor]


def _of_object(found: Any, own: Sequence[str]) -> Checkpoint:
    """Return what a pickle holds, of which objects of its own classes were left out."""
    parts = found if isinstance(found, tuple | list) else [found]
    about = [part.items() for part in parts if isinstance(part, dict)]
    meta = {key: value for items in about for key, value in items if isinstance(key, str)}
    full = list(_state_dicts(found))
    if (other := foreign_files.other_content(meta)) is not None:
        raise other
    most = max((len(one.tensors) for one in full), default=0)
    if own and most < _FEW:
        raise safe_pickle.UnknownName(own[0])
    if not full:
        raise CheckpointError(
            "The file has no state dict.", hint="Save the model's state_dict() and use that."
        )
    # A model beside the state of its optimizer, or parts of one, is far larger than these.
    rivals = [one for one in full if 2 * len(one.tensors) > most]
    full.sort(key=lambda one: (one not in rivals, not _is_averaged(one.path, meta), _order_of(one.path)))
    chosen, *others = full
    notes: tuple[str, ...] = ()
    if len(rivals) > 1:
        which = "the averaged one" if _is_averaged(chosen.path, meta) else "the usual one"
        names = ", ".join(one.path for one in rivals)
        notes = (f"The file holds several sets of weights ({names}); {which}, {chosen.path}, is taken.",)
    if own:
        programs = dict.fromkeys(name.partition(".")[0] for name in own)
        notes += (f"The objects of {', '.join(programs)} beside the weights are left out.",)
    return Checkpoint(chosen.tensors, meta, notes, {one.path: one.tensors for one in others})


def _state_dicts(found: Any) -> Iterator[_StateDict]:
    """Yield the dicts in containers that hold tensors by names. Each container is looked at once."""
    waiting, seen = deque([("", found, 0)]), set()
    while waiting:
        path, value, depth = waiting.popleft()
        if id(value) in seen or depth > _DEEPEST or not isinstance(value, dict | list | tuple):
            continue
        seen.add(id(value))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        tensors: dict[str, Tensor] = {}
        for key, part in items:
            tensor = part.tensor if isinstance(part, Array) else part
            if isinstance(tensor, Tensor) and isinstance(key, str):
                tensors[key] = tensor
            elif isinstance(part, dict | list | tuple) and part:
                waiting.append((f"{path}.{key}".lstrip("."), part, depth + 1))
        if tensors:
            yield _StateDict(path, tensors)


def _is_averaged(path: str, meta: Mapping[str, Any]) -> bool:
    # MMEngine saves the averaged weights as "state_dict" and the others as "ema_state_dict".
    about = meta.get("meta")
    if path == "ema_state_dict" and isinstance(about, dict) and "mmengine_version" in about:
        return False
    return AVERAGED.search(path) is not None


def _order_of(path: str) -> int:
    last = path.rpartition(".")[2]
    return _PLACES.index(last) if last in _PLACES else len(_PLACES)


# --- the zip archive

_READ_AT_ONCE = 1 << 20


def _read_zip(path: Path, content: Bytes) -> tuple[Any, Sequence[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise CheckpointError("The archive is cut short or damaged.") from error
    if (other := foreign_files.other_archive(records)) is not None:
        raise other
    folder = next((name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl")), None)
    if folder is None:
        raise CheckpointError("The file is a zip archive, but none that PyTorch wrote.")
    if sum(info.compress_size for info in records.values()) > len(content):
        # Each part is read to the end for its checksum: a thousand names of one large part would take hours.
        raise CheckpointError("The archive is damaged: its parts overlap.")

    def record(name: str) -> Bytes:
        if folder + name not in records:
            raise CheckpointError(f"The archive lacks its part '{name}'.")
        return _record(path, content, records[folder + name])

    if f"{folder}byteorder" in records and record("byteorder").tobytes() != b"little":
        raise CheckpointError("The file was written on a big-endian machine.", hint="Save it on another one.")
    storages, names = Storages(), Names()
    stream = _Reader(record("data.pkl"))
    found = safe_pickle.load(stream, builders=names, persistent=storages.refer)
    for storage in storages.found.values():
        storage.data = record(f"data/{storage.key}")
        if len(storage.data) < storage.size:
            raise CheckpointError(f"The file is damaged: storage {storage.key} is too short.")
    return found, names.own


def _record(path: Path, content: Bytes, info: zipfile.ZipInfo) -> Bytes:
    """Return the bytes of one part of the archive, checked against its checksum."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
        raise CheckpointError("The archive is compressed or encrypted; PyTorch writes it plainly.")
    header = content[info.header_offset : info.header_offset + 30].tobytes()
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise CheckpointError("The archive is damaged.")
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = info.header_offset + 30 + name + extra
    data = content[start : start + info.file_size]
    if len(data) != info.file_size or _checksum(path, start, info.file_size) != info.CRC:
        raise CheckpointError(f"The archive is damaged: the checksum of its part '{info.filename}' is wrong.")
    return data


def _checksum(path: Path, start: int, size: int) -> int:
    """Return the CRC-32 of a part of the file, read anew: parts that are only checked take no memory."""
    found = 0
    with path.open("rb") as file:
        file.seek(start)
        while size > 0 and (data := file.read(min(size, _READ_AT_ONCE))):
            found, size = zlib.crc32(data, found), size - len(data)
    return found


# --- pickles: the stream of PyTorch before 1.6, and plain ones

_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001


def _read_pickle(content: Bytes) -> tuple[Any, Sequence[str]]:
    if content[:1].tobytes() != b"\x80":
        raise foreign_files.other_file(content[:512].tobytes())
    stream, names = _Reader(content), Names()
    found = safe_pickle.load(stream, builders=names)
    if isinstance(found, int) and found == _MAGIC:
        found = _read_stream(stream, names)
    return found, names.own


def _read_stream(stream: "_Reader", names: Names) -> Any:
    version, system = (safe_pickle.load(stream, builders=names) for _ in range(2))
    known = isinstance(version, int) and version == _STREAM_VERSION and isinstance(system, dict)
    if not known or not system.get("little_endian"):
        raise CheckpointError("The checkpoint was written by a version or machine that is not known here.")
    storages = Storages()
    found = safe_pickle.load(stream, builders=names, persistent=storages.refer)
    keys = safe_pickle.load(stream, builders=names)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("The file is damaged: its list of storages can't be read.")
    for key in keys:
        count = int.from_bytes(stream.read(8), "little", signed=True)
        storage = storages.found.get(key)
        if storage is None or count != storage.count:
            raise CheckpointError(f"The file is damaged or cut short at storage {key}.")
        storage.data = stream.take(storage.size)
    missing = [storage.key for storage in storages.found.values() if storage.data is None]
    if missing:
        raise CheckpointError(f"The file is damaged: the data of storage {missing[0]} are missing.")
    return found


# What is longer is not copied out of the file: it stays an array of numpy's, which those who read
# numbers take as well as bytes. No honest text is so long.
_LONGEST_TEXT = 1 << 20


class _Span(np.ndarray[Any, np.dtype[np.uint8]]):
    """A long part of the mapped file, in place of its bytes."""

    def decode(self, *_: str) -> "_Span":
        """Stay as it is: in pickles of Python 2 an array's data are a text."""
        return self


class _Reader:
    """Reads on in mapped bytes."""

    def __init__(self, content: Bytes) -> None:
        self._content, self._place = content, 0

    def tell(self) -> int:
        return self._place

    def read(self, size: int, /) -> bytes:
        found = self._content[self._place : self._place + size]
        self._place += len(found)
        return found.tobytes() if size <= _LONGEST_TEXT else found.view(_Span)  # type: ignore[return-value]  # kept as it is

    def readline(self) -> bytes:
        # No line of a checkpoint's pickle is longer than the longest name in it.
        ahead = self._content[self._place : self._place + 4096].tobytes()
        end = ahead.find(b"\n")
        return self.read(end + 1 if end >= 0 else len(ahead))

    def take(self, size: int) -> Bytes:
        found = self._content[self._place : self._place + size]
        if len(found) != size:
            raise CheckpointError("The file is cut short.")
        self._place += size
        return found
