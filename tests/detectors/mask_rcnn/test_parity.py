"""Equal to the originals: what MMDetection and torchvision find with the same weights in the same pictures.

The limits are those of ../shared/reference/mmdet/README.md. What Detectron2 finds is in detectron2.npz beside
this file, in the form of those references: its Python as of 02b5c4e ran with the operators of torchvision
0.29.1, torch 2.14.1 and Pillow 13, by ResizeShortestEdge and its stock mask_rcnn_R_50_FPN_3x.yaml.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.mask_rcnn import model
from flask_detector.detectors.mask_rcnn.paste_masks import paste
from flask_detector.detectors.mask_rcnn.variants import Origin, Variant
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.structures.boxes import iou
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

LIMITS = Limits(10**8, 10**8)
PICTURES = ("apartment", "park", "street", "zoo")
REFERENCES = {
    Variant.MMDET_CAFFE: "mmdet/mask_rcnn_r50_caffe_fpn",
    Variant.MMDET_PYTORCH: "mmdet/mask_rcnn_r50_fpn",
    Variant.TORCHVISION_V1: "torchvision/maskrcnn_resnet50_fpn_eps0",
    Variant.TORCHVISION_V1_EPS: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V2: "torchvision/maskrcnn_resnet50_fpn_v2",
}
DETECTRON2 = Path(__file__).with_name("detectron2.npz")

# COCO's category numbers that have no class, which torchvision's head has all the same.
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def category(variant: Variant, label: str) -> int:
    """Return the number that the original gives a class."""
    if not variant.startswith("torchvision"):
        return COCO_LABELS.index(label)
    used = [number for number in range(1, 91) if number not in UNUSED]
    return used[COCO_LABELS.index(label)] if label in COCO_LABELS else int(label.removeprefix("unused "))


@dataclass
class Comparison:
    """How near the detections in some pictures are to the original's."""

    matched: int = 0
    unmatched: int = 0
    box: float = 0.0
    score: float = 0.0
    mask_ious: list[float] = field(default_factory=list)


@pytest.fixture
def pasted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[npt.NDArray[np.float32], Mask]]:
    """The mask of 28 x 28 of each pasted one."""
    seen: list[tuple[npt.NDArray[np.float32], Mask]] = []

    def recording(probabilities: npt.NDArray[np.float32], box: Any, **options: Any) -> Mask:
        mask = paste(probabilities, box, **options)
        seen.append((probabilities, mask))
        return mask

    monkeypatch.setattr(model, "paste", recording)
    return seen


def corners(box: npt.NDArray[np.float32]) -> list[int]:
    """Return the whole pixels to which torchvision cuts the corners of a box that it has enlarged."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * np.float32(30 / 28)
    return [int(side) for side in (*(centre - half), *(centre + half))]


def mask_iou(mask: Mask, found: Detections, counts: str) -> float:
    form = mask.to_rle(width=found.width, height=found.height)
    ours, theirs = ({"size": form["size"], "counts": text.encode()} for text in (form["counts"], counts))
    return float(coco_mask.iou([ours], [theirs], [0])[0, 0])


def reference_of(variant: Variant, shared: Path) -> dict[str, npt.NDArray[Any]]:
    """Return what the original finds, by picture and part: boxes, scores, labels, counts of the masks."""
    if variant is Variant.DETECTRON2:
        return dict(np.load(DETECTRON2))
    path = shared / "reference" / REFERENCES[variant]
    theirs = dict(np.load(path.with_name(f"{path.name}.detections.npz")))
    masks = json.loads(path.with_name(f"{path.name}.masks.json").read_text())
    return theirs | {f"{name}.counts": np.array(masks[name]["counts"], "S") for name in masks}


def compare(
    found: Detections,
    variant: Variant,
    picture: str,
    theirs: Mapping[str, npt.NDArray[Any]],
    pasted: list[tuple[npt.NDArray[np.float32], Mask]],
    comparison: Comparison,
) -> None:
    """Match the detections over 0.06 of both sides by class and IoU, each one once."""
    boxes, scores, labels, masks = (
        theirs[f"{picture}.{part}"] for part in ("boxes", "scores", "labels", "counts")
    )
    categories = [category(variant, instance.label) for instance in found]
    overlaps = iou(boxes.astype(np.float32), found.boxes)
    assert found.masks is not None
    free = set(range(len(found)))
    for i in np.flatnonzero(scores > 0.06):
        near = [j for j in free if overlaps[i, j] > 0.9 and categories[j] == labels[i]]
        if not near:
            comparison.unmatched += 1
            continue
        j = max(near, key=lambda j: overlaps[i, j])
        free.remove(j)
        comparison.matched += 1
        comparison.box = max(comparison.box, float(np.abs(boxes[i] - found.boxes[j]).max()))
        comparison.score = max(comparison.score, float(abs(scores[i] - found.scores[j])))
        mask = found.masks[j]
        assert mask is not None
        if variant.startswith("torchvision") and corners(found.boxes[j]) != corners(boxes[i]):
            # Where a corner lies at a whole pixel, a thousandth of a pixel decides to which one torchvision
            # cuts it, and the whole mask moves. So this mask is compared at the original's box.
            (probabilities,) = [seen for seen, pasted_mask in pasted if pasted_mask is mask]
            size = {"width": found.width, "height": found.height}
            mask = paste(probabilities, boxes[i].astype(np.float32), **size, origin=Origin.TORCHVISION)
        comparison.mask_ious.append(mask_iou(mask, found, masks[i].decode()))
    comparison.unmatched += sum(found.scores[j] > 0.06 for j in free)


@pytest.mark.parametrize(
    ("variant", "names"),
    [
        (Variant.MMDET_CAFFE, PICTURES[:1]),
        (Variant.TORCHVISION_V1, PICTURES[:1]),
        *(pytest.param(variant, PICTURES, marks=pytest.mark.slow) for variant in Variant),
    ],
)
def test_detections_equal_the_originals(
    variant: Variant,
    names: tuple[str, ...],
    converted: Callable[[Variant], Path],
    shared: Path,
    pasted: list[tuple[npt.NDArray[np.float32], Mask]],
) -> None:
    detector = model.MaskRCNN(converted(variant), name="original", precision=Precision.FLOAT32)
    theirs, comparison = reference_of(variant, shared), Comparison()
    for name in names:
        picture, _ = decode.decode((shared / "pictures" / f"{name}.jpg").read_bytes(), LIMITS)
        found = detector.detect(picture, min_score=0.05)
        compare(found, variant, name, theirs, pasted, comparison)
    assert comparison.matched >= 30
    assert comparison.matched >= 0.99 * (comparison.matched + comparison.unmatched)
    assert comparison.box <= 0.1
    assert comparison.score <= 0.001
    assert min(comparison.mask_ious) >= 0.93
    assert np.percentile(comparison.mask_ious, 10) >= 0.99
