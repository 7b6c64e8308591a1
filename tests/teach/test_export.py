"""Exported models: other programs find in them what the models find here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flask_detector.detectors import load_detector, model_store
from flask_detector.detectors.nanodet import convert
from flask_detector.detectors.nanodet.layers import embedded_weights
from flask_detector.detectors.openvino_runtime import Precision, Session, read_graph
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import ModelError
from flask_detector.settings import Settings
from flask_detector.teach.export import export

pytestmark = pytest.mark.slow

LABELS = tuple(f"class {n}" for n in range(80))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", precision="float32")


@pytest.fixture
def square(pictures: Path) -> Any:
    """A picture of 512x512, as which the network sees it, too."""
    with Image.open(pictures / "street.jpg") as picture:
        return np.asarray(picture.convert("RGB").resize((512, 512)))


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_found_again_in_its_onnx_and_in_its_weights(
    settings: Settings, square: Any, tmp_path: Path
) -> None:
    file = tmp_path / "a.safetensors"
    convert.write_checkpoint(file, embedded_weights(), LABELS, {"base": "nanodet-g", "replaces": {}})
    model_store(settings).add("taught", file)

    for name in ("nanodet-g", "taught"):
        onnx_file, weights = export(name, model_store(settings), tmp_path / "out")

        expected = load_detector(name, settings=settings).detect(square, min_score=0.3)
        session = Session(read_graph(onnx_file), threads=1, precision=Precision.FLOAT32)
        given = np.ascontiguousarray(square[None].transpose(0, 3, 1, 2), np.float32) / 255
        (answer,) = session.run([given])
        boxes, scores = answer[0, :4].T, answer[0, 4:].T
        assert scores.shape[1] == 80
        for box, score, class_id in zip(expected.boxes, expected.scores, expected.class_ids, strict=True):
            nearest = np.abs(scores[:, class_id] - score).argmin()
            assert scores[nearest, class_id] == pytest.approx(score, abs=1e-3)
            x, y, width, height = boxes[nearest]
            found = np.clip([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 0, 512)
            np.testing.assert_allclose(found, box, atol=0.5)
        elsewhere = Settings(data_dir=tmp_path / name, precision="float32")
        model_store(elsewhere).add("again", weights)
        model_store(elsewhere).add("pair", weights, variant=PAIR)
        again = load_detector("again", settings=elsewhere).detect(square, min_score=0.3)
        np.testing.assert_allclose(again.scores, expected.scores, atol=1e-3)
        model_store(elsewhere).add("onnx", onnx_file)
        assert load_detector("onnx", settings=elsewhere).labels == expected.labels


def test_a_model_of_another_kind_is_refused_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        export("mask-rcnn-r50-fpn", model_store(settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()
