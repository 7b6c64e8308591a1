"""The conversion, on a small network in the form of the package's files that has each of its operators."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from flask_detector.detectors.openvino_runtime import Session, read_graph

Array = npt.NDArray[Any]

TOOL = Path(__file__).parents[2] / "tools" / "convert_nanodet.py"
CHANNELS_LAST, CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


class SmallPackage:
    """A network of two strides, 2 and 4, with 3 classes and 2 values for the sides."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, Array] = {
            "stem": random.normal(size=(3, 3, 3, 4)).astype(np.float16),
            "stem_bias": random.normal(size=4).astype(np.float16),
            "deep": random.normal(size=(1, 1, 4, 4)).astype(np.float16),
            "deep_bias": random.normal(size=4).astype(np.float16),
            "head_2": random.normal(size=(1, 1, 8, 5)).astype(np.float16) / 4,
            "head_2_bias": random.normal(size=5).astype(np.float16),
            "head_4": random.normal(size=(1, 1, 4, 5)).astype(np.float16) / 4,
            "head_4_bias": random.normal(size=5).astype(np.float16),
            "minus_infinity": np.array(-np.inf, np.float16),
            "pads": np.array([[0, 0], [0, 0], [1, 1], [1, 1]], np.int32),
            "size_of_stride_2": np.array([8, 8], np.int32),
            "channel_axis": np.array(1, np.int32),
            "last_axis": np.array(3, np.int32),
            "split_sizes": np.array([3, 2], np.int32),
            "to_last": np.array(CHANNELS_LAST, np.int32),
            "to_first": np.array(CHANNELS_FIRST, np.int32),
        }
        self._network()

    def write(self, folder: Path) -> None:
        """Write the two files; float16 numbers are marked as quantised, as the package has them."""
        entries = []
        for name, array in self.weights.items():
            entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
            if array.dtype == np.float16:
                entry |= {
                    "dtype": "float32",
                    "quantization": {"dtype": "float16", "original_dtype": "float32"},
                }
            entries.append(entry)
        form = {"modelTopology": {"node": self.nodes}, "weightsManifest": [{"weights": entries}]}
        (folder / "nanodet.json").write_text(json.dumps(form))
        (folder / "nanodet.bin").write_bytes(b"".join(a.tobytes() for a in self.weights.values()))

    def expected(self, picture: Array) -> tuple[Array, Array]:
        """Return the scores and sides for a picture (H, W, 3), computed without any of the tools."""
        mean, deviation = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
        normal = ((picture - mean) / deviation)[:, :, ::-1]
        stride_2 = self._convolve(np.pad(normal, ((1, 1), (1, 1), (0, 0))), "stem", step=2)
        stride_2 = np.where(stride_2 > 0, stride_2, 0.1 * stride_2)
        padded = np.pad(stride_2, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        pooled = sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2].max(axis=(3, 4))
        stride_4 = self._convolve(pooled, "deep", step=1)
        mixed = np.concatenate([enlarged(stride_4) + stride_2, stride_2], axis=2)
        heads = [self._convolve(mixed, "head_2", step=1), self._convolve(stride_4, "head_4", step=1)]
        rows = np.concatenate([head.reshape(-1, 5) for head in heads])
        return 1 / (1 + np.exp(-rows[:, :3])), rows[:, 3:]

    def _convolve(self, features: Array, name: str, *, step: int) -> Array:
        weights = self.weights[name].astype(np.float64)
        windows = sliding_window_view(features, weights.shape[:2], axis=(0, 1))[::step, ::step]
        result: Array = np.einsum("yxcij,ijco->yxo", windows, weights) + self.weights[f"{name}_bias"]
        return result

    def _network(self) -> None:
        for name in self.weights:
            self._add(name, "Const", [])
        dimensions = [{"size": str(size)} for size in (1, 3, 16, 16)]
        self._add("picture", "Placeholder", [], shape={"shape": {"dim": dimensions}})
        self._add("padded", "Pad", ["picture", "pads"])
        self._add_convolution("stem", "padded", step=2)
        self._add("active", "LeakyRelu", ["stem_first"], alpha={"f": 0.1})
        self._add("padded_for_pool", "PadV2", ["active", "pads", "minus_infinity"])
        self._add("pool_input", "Transpose", ["padded_for_pool", "to_last"])
        self._add("pool", "MaxPool", ["pool_input"], ksize=window(3), strides=window(2), **PLAIN)
        self._add("pool_first", "Transpose", ["pool", "to_first"])
        self._add_convolution("deep", "pool_first", step=1)
        self._add(
            "enlarged",
            "ResizeBilinear",
            ["deep_sum", "size_of_stride_2"],
            half_pixel_centers={"b": True},
            align_corners={"b": False},
        )
        self._add("enlarged_first", "Transpose", ["enlarged", "to_first"])
        self._add("sum", "Add", ["enlarged_first", "active"])
        self._add("mixed", "ConcatV2", ["sum", "active", "channel_axis"])
        # Given in the other order than the strides, as nothing in the package says which comes first.
        self._add_convolution("head_4", "deep_first", step=1)
        self._add("split_4", "SplitV", ["head_4_sum", "split_sizes", "last_axis"])
        self._add_convolution("head_2", "mixed", step=1)
        self._add("split_2", "SplitV", ["head_2_sum", "split_sizes", "last_axis"])

    def _add_convolution(self, name: str, source: str, *, step: int) -> None:
        self._add(f"{name}_last", "Transpose", [source, "to_last"])
        self._add(
            f"{name}_conv",
            "Conv2D",
            [f"{name}_last", name],
            strides=window(step),
            dilations=window(1),
            **PLAIN,
        )
        self._add(f"{name}_sum", "Add", [f"{name}_conv", f"{name}_bias"])
        self._add(f"{name}_first", "Transpose", [f"{name}_sum", "to_first"])

    def _add(self, name: str, operator: str, inputs: list[str], **attributes: Mapping[str, Any]) -> None:
        self.nodes.append({"name": name, "op": operator, "input": inputs, "attr": attributes})


PLAIN = {
    "data_format": {"s": base64.b64encode(b"NHWC").decode()},
    "padding": {"s": base64.b64encode(b"VALID").decode()},
}


def window(size: int) -> dict[str, Any]:
    return {"list": {"i": ["1", str(size), str(size), "1"]}}


def enlarged(features: Array) -> Array:
    """Return features (H, W, C) in double size, linearly, with the centres of pixels at halves."""
    for axis in (0, 1):
        count = features.shape[axis]
        at = np.clip((np.arange(2 * count) + 0.5) / 2 - 0.5, 0, count - 1)
        below = np.minimum(at.astype(int), count - 2)
        share = (at - below).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        features = features.take(below, axis) * (1 - share) + features.take(below + 1, axis) * share
    return features


def convert(folder: Path, name: str = "model.onnx") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(TOOL), str(folder), str(folder / name)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def package() -> SmallPackage:
    return SmallPackage()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 24)])
def test_the_converted_network_computes_what_the_package_describes(
    height: int, width: int, package: SmallPackage, tmp_path: Path
) -> None:
    package.write(tmp_path)
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)

    done = convert(tmp_path)
    scores, sides = Session(read_graph(tmp_path / "model.onnx"), threads=1).run([picture[None]])

    assert done.returncode == 0, done.stderr
    expected_scores, expected_sides = package.expected(picture)
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(sides, expected_sides, rtol=1e-4, atol=1e-4)


def test_the_form_that_is_mapped_computes_the_same(package: SmallPackage, tmp_path: Path) -> None:
    package.write(tmp_path)
    picture = np.random.default_rng(1).integers(0, 256, (32, 24, 3), np.uint8)

    for name in ("model.onnx", "model.xml"):
        assert convert(tmp_path, name).returncode == 0

    found, mapped = (
        [output.copy() for output in Session(read_graph(tmp_path / name), threads=1).run([picture[None]])]
        for name in ("model.onnx", "model.xml")
    )
    for one, other in zip(found, mapped, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_weights_stay_the_float16_numbers_that_they_were(package: SmallPackage, tmp_path: Path) -> None:
    package.write(tmp_path)

    convert(tmp_path)

    graph = onnx.load(tmp_path / "model.onnx").graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert stored["deep_bias"].dtype == np.float16
    np.testing.assert_array_equal(stored["deep_bias"], package.weights["deep_bias"])
    np.testing.assert_array_equal(stored["head_2"].transpose(2, 3, 1, 0), package.weights["head_2"])


@pytest.mark.slow
def test_the_same_package_gives_the_same_bytes(package: SmallPackage, tmp_path: Path) -> None:
    package.write(tmp_path)

    files = [tmp_path / name for name in ("model.onnx", "model.xml", "model.bin")]
    made = []
    for _ in range(2):
        convert(tmp_path, "model.onnx")
        convert(tmp_path, "model.xml")
        made.append([file.read_bytes() for file in files])

    assert made[0] == made[1]


def test_an_operator_that_is_not_known_is_named(package: SmallPackage, tmp_path: Path) -> None:
    next(node for node in package.nodes if node["name"] == "active")["op"] = "Elu"
    package.write(tmp_path)

    done = convert(tmp_path)

    assert done.returncode == 1
    assert "active (Elu)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model.onnx").exists()


def test_padding_of_another_kind_is_refused(package: SmallPackage, tmp_path: Path) -> None:
    package.weights["minus_infinity"] = np.array(0, np.float16)
    package.write(tmp_path)

    done = convert(tmp_path)

    assert done.returncode == 1
    assert "padded_for_pool" in done.stderr


@pytest.mark.parametrize(("change", "message"), [(-1, "end within"), (1, "1 bytes follow")])
def test_a_weights_file_of_another_length_is_refused(
    change: int, message: str, package: SmallPackage, tmp_path: Path
) -> None:
    package.write(tmp_path)
    weights = (tmp_path / "nanodet.bin").read_bytes()
    (tmp_path / "nanodet.bin").write_bytes((weights + b"\0")[: len(weights) + change])

    done = convert(tmp_path)

    assert done.returncode == 1
    assert message in done.stderr
