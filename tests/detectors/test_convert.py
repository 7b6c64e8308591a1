"""Equal to MMDetection where a configuration was changed; tools/mmdet_options_reference.py made the data."""

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.structures.boxes import clip, iou
from tests.support.weights import mask_rcnn_weights, rtmdet_weights, write_safetensors

pytestmark = pytest.mark.slow

DATA = Path(__file__).with_name("changed_options")
CASES = {
    "mask_rcnn_anchors_and_size": "mmdet/mask_rcnn_r50_fpn",
    "mask_rcnn_thresholds_and_colours": "mmdet/mask_rcnn_r50_caffe_fpn",
    "rtmdet_ins_candidates": "tiny",
    "rtmdet_ins_thresholds": "tiny",
}


@pytest.mark.parametrize("name", CASES)
def test_detections_equal_those_of_the_changed_original(name: str, shared: Path, tmp_path: Path) -> None:
    weights, theirs = CASES[name], np.load(DATA / f"{name}.npz")
    is_mask_rcnn = "/" in weights
    arrays = mask_rcnn_weights(shared, weights) if is_mask_rcnn else rtmdet_weights(shared, weights)
    write_safetensors(tmp_path / "own.safetensors", arrays, cfg=str(theirs["config"]))
    convert(tmp_path / "own.safetensors", tmp_path / "converted")
    kind = MaskRCNN if is_mask_rcnn else RTMDet
    detector = kind(tmp_path / "converted", name="own", precision=Precision.FLOAT32)
    for picture in ("apartment", "street"):
        file = (shared / "pictures" / f"{picture}.jpg").read_bytes()
        found = detector.detect(decode.decode(file, Limits(10**8, 10**8))[0], min_score=0.05)
        boxes, scores, labels = (theirs[f"{picture}.{part}"] for part in ("boxes", "scores", "labels"))
        boxes = clip(boxes.astype(np.float32), width=found.width, height=found.height)
        assert len(found) == len(scores)
        # Where a list ends by its length, nearly equal scores may swap.
        least = max(0.06, scores.min() + 0.001) if len(scores) in {20, 40, 100} else 0.06
        overlaps = iou(boxes, found.boxes)
        for i in np.flatnonzero(scores > least):
            near = (overlaps[i] > 0.9) & (found.class_ids == labels[i])
            assert near.any(), (picture, boxes[i], scores[i])
            j = int(np.argmax(overlaps[i] * near))
            assert np.abs(boxes[i] - found.boxes[j]).max() <= 0.1
            assert abs(scores[i] - found.scores[j]) <= 0.001
            if is_mask_rcnn and found.masks is not None and (mask := found.masks[j]) is not None:
                form = mask.to_rle(width=found.width, height=found.height)
                counts = (form["counts"].encode(), bytes(theirs[f"{picture}.counts"][i]))
                ours, original = ({"size": form["size"], "counts": text} for text in counts)
                assert coco_mask.iou([ours], [original], [0])[0, 0] >= 0.93
