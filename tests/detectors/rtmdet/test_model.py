"""RTMDet-Ins: masks of given boxes, and its memory as a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flask_detector.detectors.base import BoxOutliner
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from tests.support.masks import mask_iou

PROGRAM = """
import sys
from pathlib import Path
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

detector = RTMDet(Path(sys.argv[1]), name="mine", threads=2, precision=Precision.FLOAT32)
for path in sys.argv[2:]:
    found = detector.detect(decode.load(Path(path).read_bytes(), Limits(10**8, 10**8))[0], min_score=0.05)
    assert len(found) == 100
(line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
"""

# The fastest ways to write them.
KINDS: dict[str, dict[str, Any]] = {
    "jpg": {},
    "png": {"compress_level": 1},
    "tiff": {"compression": "tiff_lzw"},
    "webp": {"method": 0},
    "avif": {"speed": 10},
}


def test_its_own_boxes_give_its_own_masks_back(converted: Callable[[str], Path], pictures: Path) -> None:
    detector = RTMDet(converted("tiny"), name="mine", precision=Precision.FLOAT32)
    picture, _ = decode.decode((pictures / "apartment.jpg").read_bytes(), Limits(10**8, 10**8))
    found = detector.detect(picture, min_score=0.13)
    assert len(found) > 10
    assert isinstance(detector, BoxOutliner)

    masks = detector.masks_for_boxes(picture, found.boxes, found.class_ids.tolist())

    size = found.width, found.height
    overlaps = [mask_iou(mask, own, *size) for mask, own in zip(masks, found.masks or (), strict=True)]
    assert min(overlaps) > 0.98
    # A box that a person has drawn a little off is still told by the cell of the object.
    moved = found.boxes[:1] + np.array([[3, -2, 4, 3]], np.float32)
    for class_id in (int(found.class_ids[0]), None):
        (mask,) = detector.masks_for_boxes(picture, moved, [class_id])
        assert mask_iou(mask, (found.masks or (None,))[0], *size) > 0.9
    assert detector.masks_for_boxes(picture, found.boxes[:0], []) == ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory that a process had")
@pytest.mark.parametrize(("kind", "size"), [*((kind, (6000, 4000)) for kind in KINDS), ("jpg", (8640, 5760))])
def test_a_hundred_masks_of_a_large_picture_take_a_process_at_most_250_megabytes(
    kind: str, size: tuple[int, int], converted: Callable[[str], Path], pictures: Path, tmp_path: Path
) -> None:
    large = tmp_path / f"large.{kind}"
    with Image.open(pictures / "apartment.jpg") as picture:
        picture.resize(size).save(large, **KINDS[kind])
    files = (converted("s"), pictures / "apartment.jpg", large, large)
    command = [sys.executable, "-c", PROGRAM, *(str(file) for file in files)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(answer.stdout) <= 250_000_000
