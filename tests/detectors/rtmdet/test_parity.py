"""Equal to the original: what MMDetection finds with the same weights in the same pictures.

The limits are those of ../shared/reference/rtmdet/README.md; tools/rtmdet_reference.py made what is in data/.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from flask_detector.detectors.openvino_runtime import Precision, Session, cpu_has_bfloat16
from flask_detector.detectors.rtmdet.architecture import architecture_of
from flask_detector.detectors.rtmdet.build_graph import network
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.rtmdet.preprocess import letterbox
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.structures import boxes as box_geometry
from flask_detector.structures.detections import Detections

LIMITS = Limits(10**8, 10**8)
PICTURES = ("apartment", "park", "street", "zoo")

# MMDetection's lists end there, where nearly equal scores may swap: with masks, and without.
AT_THE_END = {100, 300}


def detected(folder: Path, picture: Path, min_score: float) -> Detections:
    detector = RTMDet(folder, name="original", precision=Precision.FLOAT32)
    return detector.detect(decode.decode(picture.read_bytes(), LIMITS)[0], min_score=min_score)


def matched(
    theirs: Mapping[str, Any], picture: str, found: Detections, least: float, *, growing: float = 0
) -> list[tuple[int, int]]:
    """Return which of the original's detections over a score is which of ours; all of them must be there.

    growing: by which share of a box its sides may differ, where that is more than 0.1 pixels.
    """
    boxes, scores, labels = (theirs[f"{picture}.{part}"] for part in ("boxes", "scores", "labels"))
    boxes = box_geometry.clip(boxes.astype(np.float32), width=found.width, height=found.height)
    overlaps = box_geometry.iou(boxes, found.boxes)
    free, unmatched, pairs = set(range(len(found))), [], []
    for i in np.flatnonzero(scores > least):
        near = [j for j in free if overlaps[i, j] > 0.9 and found.class_ids[j] == labels[i]]
        if not near:
            unmatched.append(float(scores[i]))
            continue
        j = max(near, key=lambda j: overlaps[i, j])
        free.remove(j)
        assert np.abs(boxes[i] - found.boxes[j]).max() <= max(0.1, growing * np.ptp(boxes[i]))
        assert abs(scores[i] - found.scores[j]) <= 0.001
        pairs.append((int(i), j))
    unmatched += [float(found.scores[j]) for j in free if found.scores[j] > least]
    if len(scores) in AT_THE_END:
        unmatched = [score for score in unmatched if score > scores.min() + 0.001]
    assert unmatched == []
    assert len(found) == len(scores)
    return pairs


@pytest.mark.parametrize(
    ("size", "picture"),
    [
        ("tiny", "apartment"),
        ("s", "zoo"),
        *(
            pytest.param(size, picture, marks=pytest.mark.slow)
            for size in ("tiny", "s")
            for picture in PICTURES
            if (size, picture) not in {("tiny", "apartment"), ("s", "zoo")}
        ),
    ],
)
def test_detections_equal_the_originals(
    size: str, picture: str, converted: Callable[[str], Path], shared: Path
) -> None:
    found = detected(converted(size), shared / "pictures" / f"{picture}.jpg", 0.05)
    reference = shared / "reference" / "rtmdet" / f"rtmdet_ins_{size}"
    theirs = np.load(reference.with_name(f"{reference.name}.detections.npz"))
    masks = json.loads(reference.with_name(f"{reference.name}.masks.json").read_text())[picture]["counts"]
    assert found.masks is not None
    mask_ious = []
    for i, j in matched(theirs, picture, found, 0.06):
        mask = found.masks[j]
        assert mask is not None
        form = mask.to_rle(width=found.width, height=found.height)
        ours, original = (
            {"size": form["size"], "counts": text.encode()} for text in (form["counts"], masks[i])
        )
        if coco_mask.area(original) >= 100:
            mask_ious.append(float(coco_mask.iou([ours], [original], [0])[0, 0]))
    if len(found):
        assert min(mask_ious) >= 0.97
        assert np.percentile(mask_ious, 10) >= 0.995


@pytest.mark.parametrize("name", ["rtmdet_tiny", "rtmdet_tiny_exp"])
@pytest.mark.parametrize(
    "picture", ["apartment", *(pytest.param(name, marks=pytest.mark.slow) for name in PICTURES[1:])]
)
def test_boxes_without_masks_equal_the_originals(
    name: str, picture: str, boxes_converted: Callable[[str], Path], shared: Path
) -> None:
    found = detected(boxes_converted(name), shared / "pictures" / f"{picture}.jpg", 0.001)
    theirs = np.load(Path(__file__).parent / "data" / f"{name}.npz")
    assert found.masks is None
    # What is wrong by some millionths in a logarithm is wrong by as many in each pixel of the distance.
    growing = 2e-4 if name.endswith("_exp") else 0
    assert len(matched(theirs, picture, found, 0.001, growing=growing)) > 250


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="this processor does not compute in bfloat16 itself")
def test_bfloat16_gives_nearly_the_numbers_of_float32(converted: Callable[[str], Path], shared: Path) -> None:
    picture = letterbox(decode.decode((shared / "pictures" / "apartment.jpg").read_bytes(), LIMITS)[0]).pixels
    weights = WeightsFile.open(converted("tiny")).weights
    architecture = architecture_of({name: array.shape for name, array in weights.items()})
    assert architecture is not None
    outputs = []
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        session = Session(network(weights, architecture), threads=1, precision=precision)
        outputs.append([output.copy() for output in session.run([picture])])
    # These weights are made to forgive nothing, so that little more can be asked than the same network.
    for exact, quick in zip(*outputs, strict=True):
        assert np.corrcoef(exact.ravel(), quick.ravel())[0, 1] > 0.8
