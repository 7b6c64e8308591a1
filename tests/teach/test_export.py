"""Exported models: other programs find in them what the models find here."""

from collections.abc import Sequence
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
from flask_detector.structures.detections import Instance
from flask_detector.structures.masks import Mask
from flask_detector.teach.export import export
from tests.support.weights import rtmdet_weights, write_safetensors

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


def test_the_onnx_of_an_rtmdet_has_its_masks_in_onnx_runtime_and_read_here_again(
    settings: Settings, pictures: Path, shared: Path, tmp_path: Path
) -> None:
    import onnxruntime

    write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
    store = model_store(settings)
    store.add("tiny", tmp_path / "tiny.safetensors")
    onnx_file, _ = export("tiny", store, tmp_path / "out")
    store.add("again", onnx_file)
    with Image.open(pictures / "street.jpg") as picture:
        square = np.asarray(picture.convert("RGB").resize((640, 640)))
        wide = np.asarray(picture.convert("RGB"))

    # As any program runs what MMDeploy has exported.
    given: Any = (square[..., ::-1] - np.array([103.53, 116.28, 123.675])) / [57.375, 57.12, 58.395]
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    dets, labels, masks = session.run(None, {"input": given.transpose(2, 0, 1)[None].astype(np.float32)})
    assert (dets.shape, labels.shape, masks.shape) == ((1, 100, 5), (1, 100), (1, 100, 640, 640))
    expected = load_detector("tiny", settings=settings).detect(square, min_score=0.05)
    for one in expected:
        (n,) = _nearest(one, dets[0, :, :4], expected.labels, labels[0])
        np.testing.assert_allclose(dets[0, n], [*one.box, one.score], atol=0.05)
        assert _overlap(one.mask, masks[0, n] > 0.5) > 0.98
    assert [one.shape[1] for one in session.run(None, {"input": np.zeros((1, 3, 640, 640), np.float32)})] == [
        0,
        0,
        0,
    ]

    # Enlarged, masks differ at their edges: of the synthetic ones, which are all edges, more than of others.
    for pixels, least in ((square, 0.99), (wide, 0.95)):
        before, after = (load_detector(name, settings=settings).detect(pixels) for name in ("tiny", "again"))
        assert len(before) == len(after) > 10
        assert before.labels == after.labels
        overlaps = []
        for one in before:
            (n,) = _nearest(one, after.boxes, after.labels, after.class_ids)
            np.testing.assert_allclose(after.boxes[n], one.box, atol=0.05)
            assert after.scores[n] == pytest.approx(one.score, abs=1e-3)
            assert after.masks is not None
            overlaps.append(_overlap(one.mask, _whole(after.masks[n], pixels)))
        assert np.mean(overlaps) > least


def _nearest(one: Instance, boxes: Any, labels: Sequence[str], class_ids: Any) -> Any:
    """Return the number of the same class's box that is nearest to that of a detection, (1,)."""
    distances = np.abs(boxes - one.box).max(1) + 1e6 * (class_ids != labels.index(one.label))
    return distances.argsort()[:1]


def _overlap(mask: Mask | None, other: Any) -> float:
    """Return the IoU of a mask with another's bitmap of the whole picture; 1 of two that are empty."""
    assert mask is not None
    mine = _whole(mask, other)
    union = (mine | other).sum()
    return float((mine & other).sum() / union) if union else 1.0


def _whole(mask: Mask, picture: Any) -> Any:
    bitmap = np.zeros(picture.shape[:2], bool)
    bitmap[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    return bitmap


def test_a_model_of_another_kind_is_refused_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        export("mask-rcnn-r50-fpn", model_store(settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()
