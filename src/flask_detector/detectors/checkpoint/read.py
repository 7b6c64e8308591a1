"""Reading checkpoints without torch, and without running anything that is in them.

Three forms are known by their first bytes: PyTorch's zip archive (since version 1.6), PyTorch's stream before
that, and safetensors. Files are mapped into memory; a tensor's values are read when they are asked for.

Sources: torch/serialization.py, torch/_utils.py (the names in the pickles).
"""

import mmap
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.checkpoint import safe_pickle
from flask_detector.detectors.checkpoint.safetensors import read_safetensors
from flask_detector.detectors.checkpoint.tensors import Bytes, Tensor
from flask_detector.detectors.checkpoint.torch_globals import BUILDERS, Storages
from flask_detector.errors import CheckpointError


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    tensors: by name, in the file's order.
    meta: what the file says about itself besides, as plain containers.
    """

    tensors: Mapping[str, Tensor]
    meta: Mapping[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the tensors of a .pth or .safetensors file.

    The state dict may lie in a dict, as MMDetection ("state_dict") and torchvision's training script
    ("model") save it, or under any other name if it is the only one.

    Raises CheckpointError, with the file's name, when the file is missing, damaged or of another kind;
    UnsafeCheckpoint when it names anything but tensors and plain containers.
    """
    try:
        content = _mapped(path)
        if content[:4].tobytes() == b"PK\x03\x04":
            return _of_object(_read_zip(path, content))
        if len(content) > 9 and content[8] == ord("{"):
            return Checkpoint(*read_safetensors(content))
        return _of_object(_read_stream(content))
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


# Where programs keep the state dict among what else they save; the first that is there counts.
_PLACES = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights")


def _of_object(found: Any) -> Checkpoint:
    meta: Mapping[str, Any] = {}
    if isinstance(found, dict) and (place := _place_of_state_dict(found)) is not None:
        meta = found.get("meta") or {}
        found = found[place]
    if not isinstance(found, dict) or not any(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(
            "The file has no state dict.", hint="Save the model's state_dict() and use that."
        )
    others = [
        name for name, value in found.items() if not isinstance(name, str) or not isinstance(value, Tensor)
    ]
    if others:
        raise CheckpointError(
            f"The entry '{others[0]}' of the state dict is not a tensor.",
            hint="Save the model's state_dict() alone, in the types of numbers that PyTorch trains in.",
        )
    return Checkpoint(found, meta if isinstance(meta, dict) else {})


def _place_of_state_dict(found: dict[Any, Any]) -> Any:
    """Return under which key a saved dict has the state dict; None if it is one itself, or has none."""
    for place in _PLACES:
        if isinstance(found.get(place), dict):
            return place
    full = [
        key
        for key, value in found.items()
        if isinstance(value, dict) and any(isinstance(one, Tensor) for one in value.values())
    ]
    return full[0] if len(full) == 1 else None


# --- the zip archive


def _read_zip(path: Path, content: Bytes) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise CheckpointError("The archive is cut short or damaged.") from error
    folder = next((name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl")), None)
    if folder is None:
        raise CheckpointError("The file is a zip archive, but none that PyTorch wrote.")
    if sum(info.compress_size for info in records.values()) > len(content):
        # Each part is read to the end for its checksum: a thousand names of one large part would take hours.
        raise CheckpointError("The archive is damaged: its parts overlap.")

    def record(name: str) -> Bytes:
        if folder + name not in records:
            raise CheckpointError(f"The archive lacks its part '{name}'.")
        return _record(content, records[folder + name])

    if f"{folder}byteorder" in records and record("byteorder").tobytes() != b"little":
        raise CheckpointError("The file was written on a big-endian machine.", hint="Save it on another one.")
    storages = Storages()
    stream = _Reader(record("data.pkl"))
    found = safe_pickle.load(stream, builders=BUILDERS, persistent=storages.refer)
    for storage in storages.found.values():
        storage.data = record(f"data/{storage.key}")
        if len(storage.data) < storage.size:
            raise CheckpointError(f"The file is damaged: storage {storage.key} is too short.")
    return found


def _record(content: Bytes, info: zipfile.ZipInfo) -> Bytes:
    """Return the bytes of one part of the archive, checked against its checksum."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
        raise CheckpointError("The archive is compressed or encrypted; PyTorch writes it plainly.")
    header = content[info.header_offset : info.header_offset + 30].tobytes()
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise CheckpointError("The archive is damaged.")
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = info.header_offset + 30 + name + extra
    data = content[start : start + info.file_size]
    if len(data) != info.file_size or zlib.crc32(data.data) != info.CRC:
        raise CheckpointError(f"The archive is damaged: the checksum of its part '{info.filename}' is wrong.")
    return data


# --- the stream of PyTorch before 1.6

_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001


def _read_stream(content: Bytes) -> Any:
    stream = _Reader(content)
    if content[:1].tobytes() != b"\x80":
        raise CheckpointError("The file is neither a PyTorch checkpoint nor a safetensors file.")
    if safe_pickle.load(stream, builders=BUILDERS) != _MAGIC:
        raise CheckpointError("The file is a pickle, but not a PyTorch checkpoint.")
    version, system = (safe_pickle.load(stream, builders=BUILDERS) for _ in range(2))
    if version != _STREAM_VERSION or not isinstance(system, dict) or not system.get("little_endian"):
        raise CheckpointError("The checkpoint was written by a version or machine that is not known here.")
    storages = Storages()
    found = safe_pickle.load(stream, builders=BUILDERS, persistent=storages.refer)
    keys = safe_pickle.load(stream, builders=BUILDERS)
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


class _Reader:
    """Reads on in mapped bytes."""

    def __init__(self, content: Bytes) -> None:
        self._content, self._place = content, 0

    def tell(self) -> int:
        return self._place

    def read(self, size: int, /) -> bytes:
        found = self._content[self._place : self._place + size].tobytes()
        self._place += len(found)
        return found

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
