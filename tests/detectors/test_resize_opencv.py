import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.mask_rcnn.preprocess import resized_size
from flask_detector.detectors.mask_rcnn.variants import Origin
from flask_detector.detectors.resize_opencv import opencv_rows
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture, Pixels

LIMITS = Limits(10**8, 10**8)


def resized(picture: Picture, height: int, width: int) -> Picture:
    return np.concatenate([rows for _, rows in opencv_rows(Pixels.of(picture), height, width)])


@pytest.mark.parametrize("name", ["apartment", "park", "street", "zoo"])
def test_resized_pixels_are_opencvs(shared: Path, name: str) -> None:
    facts = json.loads((shared / "reference/mmdet/mask_rcnn_r50_caffe_fpn.pictures.json").read_text())[name]
    picture, _ = decode.decode((shared / "pictures" / f"{name}.jpg").read_bytes(), LIMITS)
    size = resized_size(picture.shape[0], picture.shape[1], Origin.MMDET)
    assert list(size) == facts["resized"]
    found = resized(np.ascontiguousarray(picture[..., ::-1]), *size)
    assert hashlib.sha256(found.tobytes()).hexdigest() == facts["resized_bgr_sha256"]


def test_any_size_is_resized_as_the_reference_does(shared: Path) -> None:
    path = shared / "reference" / "mmdet" / "opencv_bilinear.py"
    specification = importlib.util.spec_from_file_location("opencv_bilinear", path)
    assert specification is not None
    assert specification.loader is not None
    reference: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(reference)
    random = np.random.default_rng(0)
    for _ in range(100):
        old_height, old_width, height, width = (int(side) for side in random.integers(1, 200, 4))
        picture = random.integers(0, 256, (old_height, old_width, 3), np.uint8)
        assert (resized(picture, height, width) == reference.resize(picture, width, height)).all()
