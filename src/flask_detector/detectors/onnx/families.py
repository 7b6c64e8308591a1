"""The families of exported models: how each is recognised, prepared for, and decoded.

A new family is a row of `FAMILIES`, with a function in `recognise.py` that finds its outputs and, if its
answers have a form of their own, one in `decode.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask_detector.detectors.onnx import decode, recognise
from flask_detector.detectors.onnx.decode import Candidates, Question
from flask_detector.detectors.onnx.interpretation import Interpretation
from flask_detector.detectors.onnx.recognise import IMAGENET, Match
from flask_detector.detectors.onnx.signature import Signature
from flask_detector.structures.boxes import Floats


@dataclass(frozen=True)
class Family:
    """A way in which programs export detectors.

    find: tells whether a model is one. decode: makes candidates of its answers.
    usual: how its models are used unless something says otherwise. min_score: the lowest that is shown then.
    doubts: other readings that `check` shows, where nothing in the file decides.
    """

    name: str
    title: str
    find: Callable[[Signature], Match | None]
    decode: Callable[[list[Floats], Question], Candidates]
    usual: Interpretation
    min_score: float = 0.3
    doubts: tuple[Mapping[str, Any], ...] = ()

    def other_readings(self, asked: Interpretation) -> tuple[Mapping[str, Any], ...]:
        """Return those doubts that would read a model otherwise than it is read."""
        return tuple(doubt for doubt in self.doubts if asked.changed(doubt) != asked)


_YOLO = Interpretation(boxes="cxcywh", iou=0.7)
_STRETCHED = Interpretation(resize="stretch", resample="pillow")
# Source: effdet 0.4.1, data.transforms.transforms_coco_eval and anchors.generate_detections.
_EFFDET = Interpretation(
    resize="yolox", resample="pillow", padding=(124, 116, 104), first_class=1, **IMAGENET
)
_SWAPPED = {"bgr": True}

# The first that finds a model as its own has it.
FAMILIES: Final = (
    Family(
        "tensorflow",
        "TensorFlow's object detection API",
        recognise.tensorflow,
        decode.lists,
        Interpretation(resize="stretch", boxes="yxyx", normalised=True, first_class=1, std=(1, 1, 1)),
    ),
    Family(
        "target-sizes",
        "RT-DETR, D-FINE or DEIM",
        recognise.of_target_sizes,
        decode.lists,
        _STRETCHED,
        doubts=({"resize": "letterbox", "resample": "opencv"},),
    ),
    Family(
        "mmdeploy",
        "MMDetection, by mmdeploy",
        recognise.mmdeploy,
        decode.scored_boxes,
        Interpretation(resize="corner", padding=0, **IMAGENET),
        doubts=(
            {"bgr": True, "padding": 114, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)},
            {"resize": "stretch"},
        ),
    ),
    Family(
        "rf-detr",
        "RF-DETR",
        recognise.rf_detr,
        decode.queries,
        Interpretation(
            resize="stretch",
            resample="unrounded",
            boxes="cxcywh",
            normalised=True,
            scores="sigmoid",
            **IMAGENET,
        ),
    ),
    Family(
        "detr",
        "DETR or a relative",
        recognise.detr,
        decode.queries,
        Interpretation(
            resize="stretch", resample="pillow", boxes="cxcywh", normalised=True, scores="sigmoid"
        ),
        doubts=(IMAGENET, {"mean": (0, 0, 0), "std": (255, 255, 255)}, {"resize": "letterbox"}),
    ),
    Family(
        "yolo-finished",
        "YOLO with its choice made",
        recognise.finished_yolo,
        decode.finished_rows,
        Interpretation(),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "effdet",
        "EfficientDet of effdet",
        recognise.effdet,
        decode.finished_rows,
        _EFFDET,
        doubts=({"resize": "stretch"}, {"first_class": 0}),
    ),
    Family(
        "yolo-batch",
        "YOLOv7 with its suppression",
        recognise.batched_rows,
        decode.finished_rows_of_batch,
        Interpretation(resize="yolov5"),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "yolo-lists",
        "YOLOv7 or YOLOv9 with its suppression",
        recognise.yolo_lists,
        decode.lists,
        Interpretation(resize="yolov5"),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "ultralytics-rtdetr",
        "RT-DETR by Ultralytics",
        recognise.ultralytics_rtdetr,
        decode.rows_with_scores,
        Interpretation(resize="stretch", boxes="cxcywh", normalised=True),
        min_score=0.25,
    ),
    Family(
        "efficientdet",
        "EfficientDet of automl",
        recognise.efficientdet,
        decode.rows_of_efficientdet,
        Interpretation(resize="corner", boxes="yxyx", padding=0, first_class=1, **IMAGENET),
    ),
    Family(
        "yolox",
        "YOLOX",
        recognise.yolox,
        decode.cells_of_yolox,
        Interpretation(resize="yolox", bgr=True, std=(1, 1, 1), boxes="yolox", iou=0.45),
        doubts=({"boxes": "cxcywh"},),
    ),
    Family(
        "yolo",
        "YOLO since v8",
        recognise.yolo_channels,
        decode.channels_of_cells,
        _YOLO,
        min_score=0.25,
        doubts=({"resize": "stretch"}, _SWAPPED),
    ),
    Family(
        "yolov5",
        "YOLOv5 or YOLOv7",
        recognise.yolo_rows,
        decode.rows_of_cells,
        Interpretation(resize="yolov5", boxes="cxcywh", iou=0.45),
        min_score=0.25,
        doubts=({"resize": "stretch"}, _SWAPPED),
    ),
    Family(
        "lists",
        "lists of boxes, scores and classes, as torchvision exports them",
        recognise.lists,
        decode.lists,
        Interpretation(resize="whole", first_class=1),
        min_score=0.5,
        doubts=({"first_class": 0}, {"mean": IMAGENET["mean"], "std": IMAGENET["std"]}),
    ),
)

BY_NAME: Final = {family.name: family for family in FAMILIES}
