"""Checkpoints are read without PyTorch, and whatever they ask for, nothing of them is run."""

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError, UnsafeCheckpoint

WAS_HERE = Path("/tmp/flask_detector_was_here")
FILES = ("plain_zip", "plain_legacy", "mmdet_zip", "mmdet_legacy")


@pytest.fixture
def checkpoints(shared: Path) -> Path:
    WAS_HERE.unlink(missing_ok=True)
    return shared / "reference" / "checkpoints"


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_that_pytorch_wrote_is_read(checkpoints: Path, name: str) -> None:
    tensors = read_checkpoint(checkpoints / f"{name}.pth").tensors
    expected = np.load(checkpoints / "expected.npz")
    assert set(tensors) == set(expected.files)
    for key in expected.files:
        array = tensors[key].array()
        assert array.shape == expected[key].shape
        assert array.dtype == expected[key].dtype
        assert np.array_equal(array, expected[key])


@pytest.mark.parametrize("name", ["evil_zip", "evil_legacy"])
def test_a_checkpoint_that_calls_the_system_is_refused_by_name_and_runs_nothing(
    checkpoints: Path, name: str
) -> None:
    with pytest.raises(UnsafeCheckpoint, match=r"posix\.system|os\.system"):
        read_checkpoint(checkpoints / f"{name}.pth")
    assert not WAS_HERE.exists()


def test_a_pickle_that_is_no_checkpoint_is_refused(checkpoints: Path) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(checkpoints / "plain_pickle.pth")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused_with_its_name(checkpoints: Path, name: str, tmp_path: Path) -> None:
    whole = (checkpoints / f"{name}.pth").read_bytes()
    cut = tmp_path / "cut.pth"
    for length in [*range(0, 64, 3), *range(64, len(whole), 97)]:
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pth"):
            read_checkpoint(cut)


@pytest.mark.parametrize("name", [*FILES, "evil_zip", "evil_legacy"])
def test_damaged_bytes_raise_nothing_else_and_run_nothing(
    checkpoints: Path, name: str, tmp_path: Path
) -> None:
    whole = (checkpoints / f"{name}.pth").read_bytes()
    damaged = tmp_path / "damaged.pth"
    random = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 8)):
            data[place] = random.integers(0, 256)
        damaged.write_bytes(data)
        try:
            for tensor in read_checkpoint(damaged).tensors.values():
                tensor.array()
        except CheckpointError:
            continue
    assert not WAS_HERE.exists()


class Calls:
    """Pickles as a call of a function by name."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("function", [eval, getattr, print, np.array, subprocess.Popen, open, pickle.loads])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_any_other_function_is_refused_by_name(function: object, protocol: int, tmp_path: Path) -> None:
    for wrapped in (Calls(function, "1", "2"), {"state_dict": {}, "meta": Calls(function, "1", "2")}):
        path = tmp_path / "calls.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(wrapped, protocol))
            archive.writestr("archive/byteorder", "little")
        with pytest.raises(UnsafeCheckpoint, match=getattr(function, "__name__", "")):
            read_checkpoint(path)


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(start: int, end: int, shape: list[int], kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def test_safetensors_of_shared_arrays_are_read_under_each_name(tmp_path: Path) -> None:
    header = {"__metadata__": {"b": "a", "format": "pt"}, "a": entry(0, 24, [2, 3])}
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors(header, bytes(24)))
    found = read_checkpoint(path)
    assert set(found.tensors) == {"a", "b"}
    assert found.tensors["b"] is found.tensors["a"]


def test_safetensors_of_a_type_that_is_not_read_are_refused_by_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors({"a": entry(0, 6, [2, 3], "F8_E4M3")}, bytes(6)))
    with pytest.raises(CheckpointError, match="F8_E4M3") as caught:
        read_checkpoint(path)
    assert "float32" in caught.value.hint


def test_safetensors_are_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "weights.safetensors"
    header = {"__metadata__": {"format": "pt"}, "a": entry(0, 24, [2, 3]), "n": entry(24, 32, [], "I64")}
    path.write_bytes(safetensors(header, values.tobytes() + np.int64(7).tobytes()))
    tensors = read_checkpoint(path).tensors
    assert np.array_equal(tensors["a"].array(), values)
    assert tensors["n"].array() == 7


@pytest.mark.parametrize(
    "data",
    [
        safetensors({"a": entry(0, 24, [2, 3])}, bytes(20)),
        safetensors({"a": entry(0, 24, [2, 4])}, bytes(24)),
        safetensors({"a": entry(-8, 16, [2, 3])}, bytes(24)),
        safetensors({"a": entry(24, 0, [2, 3])}, bytes(24)),
        safetensors({"a": entry(0, 24, [-2, -3])}, bytes(24)),
        safetensors({"a": entry(0, 24, [2, 3], "F99")}, bytes(24)),
        safetensors({"a": entry(0, 2**60, [2**58])}, bytes(24)),
        safetensors({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)),
        safetensors({"a": entry(0, 8, [2]), "b": entry(12, 20, [2])}, bytes(20)),
        safetensors({"a": entry(0, 8, [2])}, bytes(9)),
        safetensors({"a": entry(0, 0, [2**32, 2**32])}),
        safetensors({"a": entry(0, 0, [0, 2**70])}),
        safetensors({"a": {**entry(0, 8, []), "shape": ["a", 10**12]}}, bytes(8)),
        safetensors({"a": {**entry(0, 8, []), "shape": [2, True]}}, bytes(8)),
        safetensors(b'{"a": %b, "a": %b}' % ((json.dumps(entry(0, 4, [1])).encode(),) * 2), bytes(4)),
        safetensors(b'{"a": ' + b"[" * 100_000),
        safetensors({"a": 5}, bytes(24)),
        safetensors([1, 2]),
        safetensors(b"{not json"),
        struct.pack("<Q", 2**62) + b"{}",
        b"",
        b"no checkpoint at all, just a text",
    ],
)
def test_malformed_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        read_checkpoint(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pth"):
        read_checkpoint(tmp_path / "nothing.pth")


def test_an_archive_that_would_fill_the_memory_costs_none(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", bytes(400_000_000))
    program = f"""
import resource
from pathlib import Path
from typing import Any
from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_checkpoint(Path({str(path)!r}))
except CheckpointError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 20_000  # kilobytes


def test_reading_does_not_import_torch(checkpoints: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from typing import Any
from flask_detector.detectors.checkpoint.read import read_checkpoint
read_checkpoint(Path({str(checkpoints / "mmdet_zip.pth")!r}))
print("torch" in sys.modules, "pickle" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("False")


def test_an_object_graph_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"(" * 100_000 + b".")
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
