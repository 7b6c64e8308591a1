from pathlib import Path

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.detectors.checkpoint.safetensors import write_safetensors
from flask_detector.detectors.convert import convert
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import BadParameter, ForeignCheckpoint
from tests.support.taught import REPLACES, checkpoint, weights_of


def test_what_is_written_is_read_again_with_its_classes(tmp_path: Path) -> None:
    reading = convert(checkpoint(tmp_path / "wagons.safetensors"), tmp_path / "graphs")
    converted = WeightsFile.open(tmp_path / "graphs")

    assert (reading.architecture, reading.variant, reading.labels) == (
        "nanodet",
        "alone",
        ("wagon", "walker"),
    )
    assert converted.options == {"replaces": REPLACES}
    for name, array in weights_of({"wagon": "car", "walker": "person"}).items():
        np.testing.assert_allclose(converted.weights[name], array, rtol=2e-7)


def test_the_file_has_the_tensors_of_its_authors_and_reads_blue_first(tmp_path: Path) -> None:
    tensors = read_checkpoint(checkpoint(tmp_path / "wagons.safetensors")).tensors
    stem = tensors["backbone.stages.0.conv.weight"].array()

    weights = weights_of({"wagon": "car"})
    np.testing.assert_array_equal(stem[:, ::-1], weights["backbone.stages.0.conv.weight"])
    assert tensors["head.gfl_cls.2.weight"].shape == (46, 128, 1, 1)
    assert tensors["backbone.stages.5.res_blocks.2.mid_conv.bn.running_var"].shape == (128,)
    assert "fpn.lateral_convs.0.conv.bias" in tensors


def test_a_pair_is_one_by_its_variant(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "wagons.safetensors")

    assert convert(file, tmp_path / "graphs", variant=PAIR).variant == "pair"
    with pytest.raises(BadParameter, match="is of NanoDet, not mmdet-caffe"):
        convert(file, tmp_path / "graphs", variant="mmdet-caffe")
    with pytest.raises(BadParameter, match="2 classes, and 1 names"):
        convert(file, tmp_path / "graphs", labels=["wagon"])


def test_another_nanodet_is_refused_with_what_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    write_safetensors(file, {"head.gfl_cls.0.weight": np.zeros((46, 96, 1, 1), np.float32)}, {})

    with pytest.raises(ForeignCheckpoint, match=r"does not fit NanoDet-g: it lacks backbone\.stages\.0"):
        convert(file, tmp_path / "graphs")
