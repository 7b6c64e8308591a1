"""The families of exported models: how each is recognised, prepared for, and decoded.

A new family is a row of `FAMILIES`, with a function that finds its outputs and, if its answers have a form of
their own, one in `decode.py`.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask_detector.detectors.onnx import decode
from flask_detector.detectors.onnx.decode import Candidates, Question
from flask_detector.detectors.onnx.interpretation import Interpretation
from flask_detector.structures.boxes import Floats

# Of Ultralytics' RT-DETR, whose rows are like YOLO's.
_FINISHED_RTDETR: Final = {"resize": "stretch", "boxes": "cxcywh", "normalised": True}

# Rows of objects; cells are more, even of small pictures.
_LONGEST_LIST = 1000

_IMAGENET: Final[dict[str, Any]] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


@dataclass(frozen=True)
class Port:
    """An input or an output: its names, its shape with None for what is open, and whether it has floats."""

    names: frozenset[str]
    shape: tuple[int | None, ...] | None
    is_float: bool = True


@dataclass(frozen=True)
class Signature:
    """What is known of an exported model from the outside.

    picture: the number of the input that takes pictures. size: its height and width; where these are open,
        those that it is used with.
    is_open: whether they are open.
    metadata: what its exporter wrote, as text or plain containers.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, Any]
    picture: int
    size: tuple[int, int]
    is_open: bool

    def said(self, name: str) -> Any:
        """Return what the metadata say of something, parsed where it is Python's text of a container."""
        value = self.metadata.get(name)
        if isinstance(value, str) and value[:1] in {"{", "[", "("} and len(value) < 1 << 18:
            try:
                return ast.literal_eval(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
        return value

    def named(self, *names: str) -> tuple[int, ...] | None:
        """Return the numbers of the outputs of those names; None where one of them is missing."""
        found = []
        for name in names:
            numbers = [i for i, port in enumerate(self.outputs) if name in port.names]
            if not numbers:
                return None
            found.append(numbers[0])
        return tuple(found)

    def of_rank(self, rank: int) -> list[int]:
        """Return the numbers of the outputs with so many axes, in floating point."""
        return [i for i, port in enumerate(self.outputs) if port.is_float and len(port.shape or ()) == rank]

    def shape(self, number: int) -> tuple[int, ...]:
        """Return an output's shape, with -1 for what is open."""
        return tuple(-1 if side is None else side for side in self.outputs[number].shape or ())

    def is_list(self, number: int) -> bool:
        """Tell whether an output (1, rows, …) has rows of few objects, not of cells."""
        rows = self.shape(number)[1]
        return 0 < rows <= _LONGEST_LIST and rows not in {self.cells, 3 * self.cells}

    @property
    def cells(self) -> int:
        """How many cells the grids of strides 8, 16 and 32 have."""
        height, width = self.size
        return sum(height // stride * (width // stride) for stride in (8, 16, 32))


@dataclass(frozen=True)
class Match:
    """That a model is of a family.

    outputs: those that its decoder takes, in that order.
    classes: how many there are; 0 where no shape tells.
    options: what the model itself says otherwise than is usual. notes: what was assumed, in whole sentences.
    """

    outputs: tuple[int, ...]
    classes: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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


def _said_classes(model: Signature) -> int:
    names = model.said("names")
    if not names and isinstance(labels := model.metadata.get("labels"), str):
        names = labels.split()
    return len(names) if isinstance(names, dict | list | tuple) else 0


def _coefficients(model: Signature) -> tuple[tuple[int, ...], int]:
    """Return the output with mask prototypes (1, coefficients, h, w), if any, and how many these are."""
    found = [i for i in model.of_rank(4) if model.shape(i)[1] > 0][:1]
    return tuple(found), model.shape(found[0])[1] if found else 0


def _finished_yolo(model: Signature) -> Match | None:
    prototypes, coefficients = _coefficients(model)
    arguments = model.said("args")
    has_nms = str(model.metadata.get("end2end")) == "True" or (
        isinstance(arguments, dict) and arguments.get("nms") is True
    )
    for number in model.of_rank(3):
        columns = model.shape(number)[2]
        if columns == 6 + coefficients and (has_nms or model.is_list(number)):
            options = _FINISHED_RTDETR if model.metadata.get("head") == "RTDETRDecoder" else {}
            return Match((number, *prototypes), _said_classes(model), options)
    return None


def _yolo_channels(model: Signature) -> Match | None:
    prototypes, coefficients = _coefficients(model)
    for number in model.of_rank(3):
        _, channels, cells = model.shape(number)
        classes = channels - 4 - coefficients
        are_cells = cells == -1 or cells > channels or cells == model.cells
        if are_cells and classes > 0 and _said_classes(model) in {0, classes}:
            # YOLOv9 writes what Ultralytics does but for the task, and chooses as YOLOv5.
            is_v9 = "stride" in model.metadata and "task" not in model.metadata
            return Match((number, *prototypes), classes, {"iou": 0.45} if is_v9 else {})
    return None


def _yolo_rows(model: Signature) -> Match | None:
    prototypes, coefficients = _coefficients(model)
    for number in model.of_rank(3):
        _, rows, columns = model.shape(number)
        classes = columns - 5 - coefficients
        if columns > 0 and classes > 0 and rows in {-1, 3 * model.cells}:
            return Match((number, *prototypes), classes)
    return None


def _yolox(model: Signature) -> Match | None:
    for number in model.of_rank(3):
        _, rows, columns = model.shape(number)
        if columns > 5 and rows == model.cells > 0 and not model.metadata.get("task"):
            return Match((number,), columns - 5)
    return None


def _ultralytics_rtdetr(model: Signature) -> Match | None:
    for number in model.of_rank(3):
        columns = model.shape(number)[2]
        if model.is_list(number) and columns - 4 == _said_classes(model) > 0:
            return Match((number,), columns - 4)
    return None


def _batched_rows(model: Signature) -> Match | None:
    found = [i for i in model.of_rank(2) if model.shape(i)[1] == 7]
    return Match(tuple(found[:1])) if found else None


def _yolo_lists(model: Signature) -> Match | None:
    found = model.named("det_boxes", "det_scores", "det_classes")
    return Match(found) if found else None


def _efficientdet(model: Signature) -> Match | None:
    found = [i for i in model.of_rank(3) if model.shape(i)[2] == 7 and model.is_list(i)]
    return Match(tuple(found[:1])) if found else None


def _of_target_sizes(model: Signature) -> Match | None:
    outputs = model.named("boxes", "scores", "labels")
    asks_size = any("orig_target_sizes" in port.names for port in model.inputs)
    return Match(outputs) if outputs and asks_size else None


def _queries(model: Signature) -> Match | None:
    """Two outputs (1, Q, 4) and (1, Q, classes), under whatever names."""
    boxes = [i for i in model.of_rank(3) if model.shape(i)[2] == 4]
    named = model.named("pred_boxes") or model.named("dets")
    boxes = list(named) if named else boxes
    if not boxes:
        return None
    count = model.shape(boxes[0])[1]
    logits = [i for i in model.of_rank(3) if i not in boxes and model.shape(i)[1] == count]
    return Match((logits[0], boxes[0]), model.shape(logits[0])[2]) if logits else None


def _coco_numbers(classes: int) -> dict[str, int]:
    """Return the options of networks whose outputs are COCO's category ids, 0 to 90."""
    return {"first_class": 1} if classes == 91 else {}


def _rf_detr(model: Signature) -> Match | None:
    if not (model.named("dets", "labels") and (found := _queries(model))):
        return None
    masks = tuple(i for i in model.of_rank(4) if model.shape(i)[1] == model.shape(found.outputs[0])[1])[:1]
    options = _coco_numbers(found.classes)
    return Match((*found.outputs, *masks), found.classes - 1, options)


def _detr(model: Signature) -> Match | None:
    found = _queries(model)
    if found is None:
        return None
    count = model.shape(found.outputs[0])[1]
    said = _said_classes(model)
    has_none = found.classes == said + 1 if said else count <= 100 or found.classes == 92
    if not has_none:
        return Match(found.outputs, found.classes, _coco_numbers(found.classes))
    classes = found.classes - 1
    options = {"scores": "softmax", "resize": "shortest", "size": (800, 1333), **_IMAGENET}
    if not model.is_open:
        options |= {"resize": "stretch", "size": model.size}
    return Match(found.outputs, classes, {**options, **_coco_numbers(classes)})


def _mmdeploy(model: Signature) -> Match | None:
    found = model.named("dets", "labels")
    if found is None or model.shape(found[0])[-1:] != (5,):
        return None
    return Match((*found, *(model.named("masks") or ())))


def _tensorflow(model: Signature) -> Match | None:
    found = model.named("detection_boxes", "detection_scores", "detection_classes")
    return Match((*found, *(model.named("detection_masks") or ()))) if found else None


def _lists(model: Signature) -> Match | None:
    """Boxes (…, 4), scores and classes of one length, under whatever names."""
    boxes = [i for i, port in enumerate(model.outputs) if (port.shape or ())[-1:] == (4,) and port.is_float]
    if not boxes:
        return None
    rank = len(model.outputs[boxes[0]].shape or ()) - 1
    flat = [i for i, port in enumerate(model.outputs) if len(port.shape or ()) == rank]
    classes = [i for i in flat if _is_named(model, i)] or [i for i in flat if not model.outputs[i].is_float]
    scores = [i for i in flat if i not in classes]
    if rank == 0 or not classes or not scores:
        return None
    masks = [i for i in model.of_rank(4) + model.of_rank(3) if i != boxes[0]][:1]
    return Match((boxes[0], scores[0], classes[0], *masks))


def _is_named(model: Signature, number: int) -> bool:
    return any(word in name.lower() for name in model.outputs[number].names for word in ("label", "class"))


_YOLO = Interpretation(boxes="cxcywh", iou=0.7)
_STRETCHED = Interpretation(resize="stretch", resample="pillow")
_SWAPPED = {"bgr": True}

# The first that finds a model as its own has it.
FAMILIES: Final = (
    Family(
        "tensorflow",
        "TensorFlow's object detection API",
        _tensorflow,
        decode.lists,
        Interpretation(resize="stretch", boxes="yxyx", normalised=True, first_class=1, std=(1, 1, 1)),
    ),
    Family(
        "target-sizes",
        "RT-DETR, D-FINE or DEIM",
        _of_target_sizes,
        decode.lists,
        _STRETCHED,
        doubts=({"resize": "letterbox", "resample": "opencv"},),
    ),
    Family(
        "mmdeploy",
        "MMDetection, by mmdeploy",
        _mmdeploy,
        decode.scored_boxes,
        Interpretation(resize="corner", padding=0, **_IMAGENET),
        doubts=(
            {"bgr": True, "padding": 114, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)},
            {"resize": "stretch"},
        ),
    ),
    Family(
        "rf-detr",
        "RF-DETR",
        _rf_detr,
        decode.queries,
        Interpretation(
            resize="stretch",
            resample="unrounded",
            boxes="cxcywh",
            normalised=True,
            scores="sigmoid",
            **_IMAGENET,
        ),
    ),
    Family(
        "detr",
        "DETR or a relative",
        _detr,
        decode.queries,
        Interpretation(
            resize="stretch", resample="pillow", boxes="cxcywh", normalised=True, scores="sigmoid"
        ),
        doubts=(_IMAGENET, {"mean": (0, 0, 0), "std": (255, 255, 255)}, {"resize": "letterbox"}),
    ),
    Family(
        "yolo-finished",
        "YOLO with its choice made",
        _finished_yolo,
        decode.finished_rows,
        Interpretation(),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "yolo-batch",
        "YOLOv7 with its suppression",
        _batched_rows,
        decode.finished_rows_of_batch,
        Interpretation(),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "yolo-lists",
        "YOLOv7 or YOLOv9 with its suppression",
        _yolo_lists,
        decode.lists,
        Interpretation(),
        min_score=0.25,
        doubts=({"resize": "stretch"},),
    ),
    Family(
        "ultralytics-rtdetr",
        "RT-DETR by Ultralytics",
        _ultralytics_rtdetr,
        decode.rows_with_scores,
        Interpretation(resize="stretch", boxes="cxcywh", normalised=True),
        min_score=0.25,
    ),
    Family(
        "efficientdet",
        "EfficientDet of automl",
        _efficientdet,
        decode.rows_of_efficientdet,
        Interpretation(resize="corner", boxes="yxyx", padding=0, first_class=1, **_IMAGENET),
    ),
    Family(
        "yolox",
        "YOLOX",
        _yolox,
        decode.cells_of_yolox,
        Interpretation(resize="yolox", bgr=True, std=(1, 1, 1), boxes="yolox", iou=0.45),
        doubts=({"boxes": "cxcywh"},),
    ),
    Family(
        "yolo",
        "YOLO since v8",
        _yolo_channels,
        decode.channels_of_cells,
        _YOLO,
        min_score=0.25,
        doubts=({"resize": "stretch"}, _SWAPPED),
    ),
    Family(
        "yolov5",
        "YOLOv5 or YOLOv7",
        _yolo_rows,
        decode.rows_of_cells,
        Interpretation(boxes="cxcywh", iou=0.45),
        min_score=0.25,
        doubts=({"resize": "stretch"}, _SWAPPED),
    ),
    Family(
        "lists",
        "lists of boxes, scores and classes, as torchvision exports them",
        _lists,
        decode.lists,
        Interpretation(resize="whole", first_class=1),
        min_score=0.5,
        doubts=({"first_class": 0}, {"mean": _IMAGENET["mean"], "std": _IMAGENET["std"]}),
    ),
)

BY_NAME: Final = {family.name: family for family in FAMILIES}
