"""A model is tried before it is kept, and both readings of one that does not tell what it is can be seen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.layers import Layout, layers
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.trial import check, outcomes
from flask_detector.errors import CheckpointError
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from tests.support.weights import mask_rcnn_weights, write_safetensors

Arrays = dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]
Change = Callable[[Arrays], None]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Change], Path]:
    """A function that converts a model of zeros, changed, and returns its folder."""

    def folder(change: Change) -> Path:
        shapes = {
            name: shape for layer in layers(Layout.DETECTRON2, 3) for name, shape in layer.tensors().items()
        }
        arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        change(arrays)
        write_safetensors(tmp_path / "weights.safetensors", arrays)
        convert(tmp_path / "weights.safetensors", tmp_path / "converted")
        return tmp_path / "converted"

    return folder


def far_away(arrays: Arrays) -> None:
    """Have all proposals lie outside the picture."""
    arrays["proposal_generator.rpn_head.anchor_deltas.bias"][:] = 1000


def diverged(arrays: Arrays) -> None:
    """Have the class logits overflow, though all weights are finite."""
    arrays["roi_heads.box_head.fc2.bias"][:] = 1e30
    arrays["roi_heads.box_predictor.cls_score.weight"][:] = 1e30


@pytest.mark.slow
def test_no_proposals_mean_no_detections(folder: Callable[[Change], Path]) -> None:
    converted = folder(far_away)
    check(converted)
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    found = MaskRCNN(converted, name="zeros").detect(picture, min_score=0.0)
    assert len(found) == 0
    assert found.masks == ()


@pytest.mark.slow
def test_a_model_whose_answers_are_no_numbers_is_refused(folder: Callable[[Change], Path]) -> None:
    with pytest.raises(CheckpointError, match="no finite numbers"):
        check(folder(diverged))


@pytest.mark.slow
def test_both_readings_find_what_the_model_converted_so_finds(shared: Path, tmp_path: Path) -> None:
    arrays = mask_rcnn_weights(shared, "torchvision/maskrcnn_resnet50_fpn")
    write_safetensors(tmp_path / "weights.safetensors", arrays)
    picture, _ = decode.decode((shared / "pictures" / "apartment.jpg").read_bytes(), Limits(10**8, 10**8))
    variants = (Variant.TORCHVISION_V1, Variant.TORCHVISION_V1_EPS)
    alone = {}
    for variant in variants:
        convert(tmp_path / "weights.safetensors", tmp_path / variant, variant=variant)
        model = MaskRCNN(tmp_path / variant, name=variant, precision=Precision.FLOAT32)
        alone[variant] = model.detect(picture).scores
    used, other = outcomes(tmp_path / variants[1], picture)
    assert (used.reading, used.is_used) == (variants[1], True)
    assert (other.reading, other.is_used) == (variants[0], False)
    assert len(used.found) != len(other.found)
    for outcome in (used, other):
        np.testing.assert_allclose(outcome.found.scores, alone[Variant(outcome.reading)], atol=1e-4)
