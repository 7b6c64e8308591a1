"""A checkpoint becomes a folder of folded arrays that is there whole or not at all."""

import json
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.layers import Layout, layers
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.weights_file import GRAPH_VERSION, WeightsFile, labels_of
from flask_detector.errors import CheckpointError, ForeignCheckpoint

Arrays = Mapping[str, npt.NDArray[Any]]

CUPS = ("cup", "spoon", "plate")
META = {"CLASSES": CUPS, "config": "model = dict(backbone=dict(style='caffe'))"}


def write_legacy(
    path: Path, shapes: Mapping[str, tuple[int, ...]], meta: Mapping[str, Any], filled: Arrays
) -> None:
    """Write a checkpoint of zeros, but for what is filled; zeros take no room on the disk."""
    state = b"".join(text(name) + tensor(name, shape) for name, shape in shapes.items())
    plain = pickle.dumps(dict(meta), 2)[2:-1]
    program = b"\x80\x02}(" + text("meta") + plain + text("state_dict") + b"}(" + state + b"uu."
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    with path.open("wb") as file:
        file.write(b"".join(pickle.dumps(part, 2) for part in head) + program)
        file.write(pickle.dumps(list(shapes), 2))
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            file.write(struct.pack("<q", count))
            if name in filled:
                assert filled[name].shape == shape
                file.write(filled[name].astype("<f4").tobytes())
            else:
                file.seek(4 * count, 1)
        file.truncate()


def text(plain: str) -> bytes:
    return b"X" + struct.pack("<I", len(plain)) + plain.encode()


def number(plain: int) -> bytes:
    return b"J" + struct.pack("<i", plain)


def tensor(name: str, shape: tuple[int, ...]) -> bytes:
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    storage = text("storage") + b"ctorch\nFloatStorage\n" + text(name) + text("cpu")
    sides, steps = (b"(" + b"".join(map(number, numbers)) + b"t" for numbers in (shape, strides))
    count = number(int(np.prod(shape)))
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + count + b"NtQK\x00" + sides + steps + b"\x89}tR"
    )


def shapes_of(layout: Layout, classes: int) -> dict[str, tuple[int, ...]]:
    return {name: shape for layer in layers(layout, classes) for name, shape in layer.tensors().items()}


@pytest.fixture(scope="module")
def filled() -> Arrays:
    """What is not zero in the checkpoint of cups."""
    random = np.random.default_rng(0)
    shapes = shapes_of(Layout.MMDET, len(CUPS))
    names = [
        "backbone.conv1.weight",
        *(f"backbone.bn1.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        *(f"rpn_head.{layer}.{part}" for layer in ("rpn_cls", "rpn_reg") for part in ("weight", "bias")),
        "roi_head.bbox_head.shared_fcs.0.weight",
        "roi_head.mask_head.upsample.weight",
        "roi_head.mask_head.upsample.bias",
    ]
    return {name: random.uniform(0.5, 2, shapes[name]).astype(np.float32) for name in names}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, filled: Arrays) -> Path:
    """A training of one's own, of MMDetection's network in caffe style with three classes."""
    path = tmp_path_factory.mktemp("checkpoint") / "cups.pth"
    write_legacy(path, shapes_of(Layout.MMDET, len(CUPS)), META, filled)
    return path


@pytest.fixture(scope="module")
def progress() -> list[float]:
    """What was reported while the checkpoint was converted."""
    return []


@pytest.fixture(scope="module")
def folder(
    checkpoint: Path, progress: list[float], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The converted checkpoint."""
    parent = tmp_path_factory.mktemp("models")
    convert(checkpoint, parent / "deep" / "converted", on_progress=progress.append)
    yield parent / "deep" / "converted"
    shutil.rmtree(parent)


def test_the_folder_has_a_manifest_and_the_numbers_and_nothing_is_beside_it(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "weights.bin"}
    assert list(folder.parent.iterdir()) == [folder]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["graph_version"] == GRAPH_VERSION
    assert manifest["variant"] == "mmdet-caffe"
    assert manifest["labels"] == list(CUPS)
    assert manifest["classes"] == [0, 1, 2]
    end = 0
    for entry in manifest["arrays"].values():
        assert entry["offset"] % 64 == 0
        assert entry["offset"] >= end
        end = entry["offset"] + 4 * int(np.prod(entry["shape"]))
    assert end == (folder / "weights.bin").stat().st_size


def test_progress_rises_to_exactly_one(folder: Path, progress: list[float]) -> None:
    assert len(progress) > 20
    assert progress == sorted(progress)
    assert 0 < progress[0] < 0.1
    assert progress[-1] == 1.0
    assert progress.count(1.0) == 1


def test_what_was_converted_is_opened_with_its_classes(folder: Path) -> None:
    found = WeightsFile.open(folder)
    assert found.variant == Variant.MMDET_CAFFE
    assert found.labels == CUPS
    assert found.labels == labels_of(folder)
    assert found.classes == (0, 1, 2)
    assert all(array.dtype == np.float32 for array in found.weights.values())
    assert found.weights["box.logits.weight"].shape == (4, 1024)


def test_forgotten_pages_are_read_again(folder: Path, filled: Arrays) -> None:
    found = WeightsFile.open(folder)
    before = found.weights["rpn.answers.weight"].copy()
    found.forget_pages()
    assert np.array_equal(found.weights["rpn.answers.weight"], before)


def test_batch_norm_is_folded_into_weight_and_bias(folder: Path, filled: Arrays) -> None:
    weight, gamma, beta, mean, variance = (
        filled[f"backbone.{name}"].astype(np.float64)
        for name in ("conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var")
    )
    scale = gamma / np.sqrt(variance + 1e-5)
    found = WeightsFile.open(folder).weights
    folded = weight * scale[:, None, None, None]
    np.testing.assert_allclose(found["stem.weight"], folded, rtol=2**-24)
    np.testing.assert_allclose(found["stem.bias"], beta - mean * scale, rtol=2**-23, atol=2**-24)


def test_the_proposals_two_layers_become_one(folder: Path, filled: Arrays) -> None:
    found = WeightsFile.open(folder).weights
    for part in ("weight", "bias"):
        both = [filled[f"rpn_head.{layer}.{part}"] for layer in ("rpn_cls", "rpn_reg")]
        assert np.array_equal(found[f"rpn.answers.{part}"], np.concatenate(both))
    assert "rpn.logits.weight" not in found


def test_the_box_head_takes_cells_before_channels(folder: Path, filled: Arrays) -> None:
    original = filled["roi_head.bbox_head.shared_fcs.0.weight"]
    found = WeightsFile.open(folder).weights["box.fc0.weight"]
    for channel, row, column in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (200, 3, 5), (255, 6, 6)]:
        ours = found[:, (row * 7 + column) * 256 + channel]
        assert np.array_equal(ours, original[:, (channel * 7 + row) * 7 + column])


def test_the_mask_heads_four_taps_stand_one_behind_the_other(folder: Path, filled: Arrays) -> None:
    original = filled["roi_head.mask_head.upsample.weight"]
    found = WeightsFile.open(folder).weights
    for row, column in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        tap = slice(256 * (2 * row + column), 256 * (2 * row + column + 1))
        assert np.array_equal(found["mask.up.weight"][tap], original[:, :, row, column].T)
        assert np.array_equal(found["mask.up.bias"][tap], filled["roi_head.mask_head.upsample.bias"])


class Interrupted(Exception):
    """Stands for whatever ends a conversion in its middle."""


def interrupt(part: float) -> None:
    if part > 0.2:
        raise Interrupted


def test_an_interrupted_conversion_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        convert(checkpoint, tmp_path / "converted", on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_conversion_leaves_the_one_before(checkpoint: Path, tmp_path: Path) -> None:
    before = tmp_path / "converted"
    before.mkdir()
    (before / "manifest.json").write_text("{}")
    with pytest.raises(Interrupted):
        convert(checkpoint, before, on_progress=interrupt)
    assert list(tmp_path.iterdir()) == [before]
    assert (before / "manifest.json").read_text() == "{}"


def test_a_killed_conversion_leaves_no_folder_of_that_name(checkpoint: Path, tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from flask_detector.detectors.convert import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]), on_progress=lambda part: part > 0.2 and os._exit(9))
"""
    arguments = [str(checkpoint), str(tmp_path / "converted")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert done.returncode == 9
    assert not (tmp_path / "converted").exists()


def test_a_folder_that_is_there_is_replaced_as_a_whole(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "converted"
    before.mkdir()
    (before / "from another version").write_text("")
    deleted: list[Path] = []
    real = shutil.rmtree

    def delete(path: Path, **options: Any) -> None:
        deleted.append(path)
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", delete)
    convert(checkpoint, before)
    monkeypatch.undo()
    assert {path.name for path in before.iterdir()} == {"manifest.json", "weights.bin"}
    assert list(tmp_path.iterdir()) == [before]
    assert before not in deleted  # where it stands, it would be half there for a while
    shutil.rmtree(before)


def test_numbers_that_are_not_finite_are_refused_with_the_layer(filled: Arrays, tmp_path: Path) -> None:
    huge = {**filled, "backbone.bn1.weight": np.full(64, 3e38), "backbone.bn1.running_var": np.full(64, 1e-9)}
    path = tmp_path / "overflowing.pth"
    write_legacy(path, shapes_of(Layout.MMDET, len(CUPS)), META, huge)
    with pytest.raises(CheckpointError, match=r"overflowing\.pth: .*'backbone\.conv1'"):
        convert(path, tmp_path / "converted")
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_that_does_not_fit_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    write_legacy(path, {"features.0.weight": (4, 3)}, {}, {})
    with pytest.raises(ForeignCheckpoint, match=r"other\.pth"):
        convert(path, tmp_path / "converted")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{}",
        json.dumps({"graph_version": GRAPH_VERSION + 1}),
        json.dumps({"graph_version": GRAPH_VERSION, "arrays": []}),
        json.dumps({"graph_version": GRAPH_VERSION, "arrays": {"a": {"offset": 0, "shape": [10**6]}}}),
    ],
)
def test_a_folder_of_something_else_is_refused(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    with pytest.raises(CheckpointError, match="can't be read"):
        WeightsFile.open(tmp_path)
