"""Pickles of numpy's arrays, as Detectron2's model zoo publishes them, are read like tensors."""

import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_every_protocol_are_read(protocol: int, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns first": np.asfortranarray(np.arange(12, dtype=np.float64).reshape(3, 4)),
        "half": np.linspace(-1, 1, 5).astype(np.float16),
        "count": np.array(7, np.int64),
        "large": np.arange(500_000, dtype=np.float32),
        "none": np.zeros((0, 4), np.float32),
    }
    path = tmp_path / "model_final.pkl"
    saved = {"model": arrays, "__author__": "Detectron2 Model Zoo", "names": np.array(["text"])}
    path.write_bytes(pickle.dumps(saved, protocol))
    checkpoint = read_checkpoint(path)
    assert set(checkpoint.tensors) == set(arrays)
    assert checkpoint.meta["__author__"] == "Detectron2 Model Zoo"
    for name, array in arrays.items():
        found = checkpoint.tensors[name].array()
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def python_2(raw: bytes, *, order: bytes = b"<", sides: bytes = b"K\x02K\x03\x86") -> bytes:
    """Return a dict of one array as Python 2 pickles it: its data are a text."""
    kind = (
        b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01%bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        % order
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    data = b"T" + struct.pack("<i", len(raw)) + raw
    return b"\x80\x02}U\x01w" + array + b"(K\x01" + sides + kind + b"\x89" + data + b"tbs."


def test_arrays_that_python_2_wrote_are_read(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "old.pkl"
    path.write_bytes(python_2(values.tobytes()))
    assert np.array_equal(read_checkpoint(path).tensors["w"].array(), values)


@pytest.mark.parametrize(
    "data",
    [
        python_2(bytes(20)),
        python_2(bytes(24), order=b">"),
        python_2(bytes(24), sides=b"K\x02U\x013\x86"),
        python_2(bytes(24), sides=b"J\xfe\xff\xff\xffJ\xfd\xff\xff\xff\x86"),
        python_2(b"", sides=b"K\x00\x8a\x09" + bytes(8) + b"\x01\x86"),
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\n(K\x00tRK\x05bs.",
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\n(K\x00tR(K\x01K\x02\x85U\x01f\x89U\x00tbs.",
    ],
)
def test_an_array_that_lies_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lying.pkl"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"lying\.pkl"):
        read_checkpoint(path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_large_arrays_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        pickle.dump({str(i): np.zeros(4_000_000, np.float32) for i in range(4)}, file)
    script = f"""
from pathlib import Path
from flask_detector.detectors.checkpoint.read import read_checkpoint

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024

before = peak()
assert len(read_checkpoint(Path({str(path)!r})).tensors) == 4
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10  # megabytes, of 64
