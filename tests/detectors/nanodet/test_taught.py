from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flask_detector.detectors import load_detector, model_store
from flask_detector.detectors.base import Detector
from flask_detector.detectors.nanodet.detector import NanoDet
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.imaging.pixels import Picture
from flask_detector.settings import Settings
from tests.support.taught import checkpoint


@pytest.fixture(scope="module")
def street(pictures: Path) -> Picture:
    return np.asarray(Image.open(pictures / "street.jpg").convert("RGB"))


def installed(folder: Path, *, added: float = 0.0, variant: str | None = None) -> Detector:
    settings = Settings(data_dir=folder, precision="float32")
    model_store(settings).add(
        "wagons", checkpoint(folder / "wagons.safetensors", added=added), variant=variant
    )
    return load_detector("wagons", settings=settings)


def test_a_taught_model_is_an_ordinary_one(tmp_path: Path, street: Picture) -> None:
    detector = installed(tmp_path)
    store = model_store(Settings(data_dir=tmp_path))

    assert detector.labels == ("wagon", "walker")
    assert set(detector.detect(street).counts()) == {"wagon", "walker"}
    assert (store.info("wagons").architecture, store.info("wagons").has_masks) == ("nanodet", False)
    assert "wagons" in store.installed()
    store.remove("wagons")
    assert "wagons" not in store.installed()


def test_a_pair_that_has_learned_nothing_finds_bit_for_bit_what_the_base_finds(
    tmp_path: Path, street: Picture
) -> None:
    pair = installed(tmp_path, added=-30, variant="pair")
    base = NanoDet(precision=Precision.FLOAT32)

    together, alone = (detector.detect(street, min_score=0.02) for detector in (pair, base))

    assert len(alone) > 10
    for name in ("boxes", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
    assert together.labels == (*base.labels, "wagon", "walker")
    assert together.model == "wagons"


def test_a_pair_finds_what_either_finds_and_calls_it_as_it_was_taught(
    tmp_path: Path, street: Picture
) -> None:
    pair = installed(tmp_path, variant="pair")
    base = NanoDet(precision=Precision.FLOAT32).detect(street)

    together = pair.detect(street)

    renamed = {"car": "wagon", "person": "walker"}
    assert together.counts() == {renamed.get(label, label): count for label, count in base.counts().items()}
