"""A checkpoint of RTMDet-Ins is known by its tensors, and what does not fit is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.rtmdet.architecture import Architecture as RTMDetSize
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.errors import BadParameter, CheckpointError, ForeignCheckpoint
from tests.support.weights import write_safetensors

Arrays = dict[str, "np.ndarray[Any, Any]"]


@pytest.fixture(scope="module")
def tiny(synthesized: Callable[[str], Arrays]) -> Arrays:
    return synthesized("tiny")


def test_prefixes_and_counters_play_no_part(tiny: Arrays, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", {f"module.{name}": array for name, array in tiny.items()})
    convert(tmp_path / "a.safetensors", tmp_path / "converted")
    found = WeightsFile.open(tmp_path / "converted")
    assert found.architecture == "rtmdet-ins"
    assert found.labels[0] == "person"
    assert len(found.labels) == 80


def test_names_and_the_configuration_are_read_and_said(tiny: Arrays, tmp_path: Path) -> None:
    own = {name: array[:3] if ".rtm_cls." in name else array for name, array in tiny.items()}
    config = (
        "model = dict(test_cfg=dict(max_per_img=20, nms=dict(type='nms', iou_threshold=0.5), nms_pre=1000))"
    )
    path = tmp_path / "own.safetensors"
    write_safetensors(path, own, cfg=config, id2label='{"0": "cat", "1": "dog", "2": "bird"}')
    reading = convert(path, tmp_path / "converted")
    assert reading.labels == ("cat", "dog", "bird")
    assert reading.options == {"most": 20, "iou_threshold": 0.5}
    detector = RTMDet(tmp_path / "converted", name="own")
    assert len(detector.detect(np.zeros((30, 40, 3), np.uint8), min_score=0.0)) <= 20
    given = convert(path, tmp_path / "converted", labels=["a", "b", "c"])
    assert given.labels == RTMDet(tmp_path / "converted", name="own").labels == ("a", "b", "c")


def test_a_configuration_that_cannot_be_followed_is_refused_with_the_list(
    tiny: Arrays, tmp_path: Path
) -> None:
    config = (
        "model = dict(data_preprocessor=dict(mean=[0, 0, 0]), test_cfg=dict(max_per_img=5000))\n"
        "test_pipeline = [dict(type='Resize', scale=(1024, 1024), keep_ratio=True)]"
    )
    write_safetensors(tmp_path / "own.safetensors", tiny, cfg=config)
    with pytest.raises(ForeignCheckpoint, match=r"mean is \[0, 0, 0\].*\(1024, 1024\).*max_per_img is 5000"):
        convert(tmp_path / "own.safetensors", tmp_path / "converted")


def test_a_users_own_number_of_classes_is_taken(tiny: Arrays, tmp_path: Path) -> None:
    own = {name: array[:3] if ".rtm_cls." in name else array for name, array in tiny.items()}
    write_safetensors(tmp_path / "own.safetensors", own)
    convert(tmp_path / "own.safetensors", tmp_path / "converted")
    detector = RTMDet(tmp_path / "converted", name="own")
    assert detector.labels == ("class 1", "class 2", "class 3")
    found = detector.detect(np.zeros((30, 40, 3), np.uint8), min_score=0.0)
    assert found.class_ids.max(initial=0) <= 2


@pytest.mark.parametrize(
    ("channels", "config", "variant"),
    [
        (128, "", "mmdet"),
        (192, "", "mmdet-exp"),
        (128, "bbox_head=dict(type='RTMDetSepBNHead', exp_on_reg=True)", "mmdet-exp"),
        (192, '{"exp_on_reg": False}', "mmdet"),
    ],
)
def test_what_no_tensor_tells_of_boxes_is_taken_from_the_config_or_the_size(
    channels: int, config: str, variant: str, tmp_path: Path
) -> None:
    low = channels
    size = RTMDetSize((low // 4, low // 2, low, 2 * low, 4 * low), (1, 1, 1, 1), 1, 2, False, False)
    arrays = {
        name: np.ones(shape, np.float32) for conv in size.convs() for name, shape in conv.tensors().items()
    }
    write_safetensors(tmp_path / "a.safetensors", arrays, **({"cfg": config} if config else {}))
    assert convert(tmp_path / "a.safetensors", tmp_path / "converted").architecture == "rtmdet"
    assert WeightsFile.open(tmp_path / "converted").variant == variant


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.pop("neck.out_convs.1.bn.bias"), "it lacks neck.out_convs.1.bn.bias"),
        (lambda t: t.update({"extra.weight": np.zeros(3, np.float32)}), "it has besides extra.weight"),
        (
            lambda t: t.update({"bbox_head.rtm_reg.2.bias": np.zeros(5, np.float32)}),
            r"wrong shapes: bbox_head.rtm_reg.2.bias \(5,\) instead of \(4,\)",
        ),
        (lambda t: [t.pop(n) for n in list(t) if "rtm_kernel" in n], "does not fit RTMDet: it has besides"),
        (lambda t: [t.pop(n) for n in list(t) if "stage3" in n], "of another backbone or neck"),
    ],
)
def test_what_does_not_fit_is_said(
    tiny: Arrays, tmp_path: Path, spoil: Callable[[Arrays], Any], words: str
) -> None:
    tensors = dict(tiny)
    spoil(tensors)
    write_safetensors(tmp_path / "odd.safetensors", tensors)
    with pytest.raises(ForeignCheckpoint, match=words):
        convert(tmp_path / "odd.safetensors", tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_values_that_are_no_numbers_are_refused(tiny: Arrays, tmp_path: Path) -> None:
    bad = tiny["neck.downsamples.0.conv.weight"].copy()
    bad[0, 0, 0, 0] = np.nan
    write_safetensors(tmp_path / "nan.safetensors", {**tiny, "neck.downsamples.0.conv.weight": bad})
    with pytest.raises(CheckpointError, match=r"neck\.downsamples\.0\.conv.* no finite numbers"):
        convert(tmp_path / "nan.safetensors", tmp_path / "converted")


def test_a_variant_of_mask_r_cnn_is_none_of_it(tiny: Arrays, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", tiny)
    with pytest.raises(BadParameter, match="is of RTMDet"):
        convert(tmp_path / "a.safetensors", tmp_path / "converted", variant=Variant.MMDET_CAFFE)
