"""Whether an exported model is of a family: a function each, which finds its outputs or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask_detector.detectors.onnx.signature import Signature

IMAGENET: Final[dict[str, Any]] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

# Of Ultralytics' RT-DETR, whose rows are like YOLO's.
_FINISHED_RTDETR: Final = {"resize": "stretch", "boxes": "cxcywh", "normalised": True}


@dataclass(frozen=True)
class Match:
    """That a model is of a family.

    outputs: those that its decoder takes, in that order, without masks.
    classes: how many there are; 0 where no shape tells.
    options: what the model itself says otherwise than is usual.
    masks: the output that its decoder takes last where it has masks, else none.
    """

    outputs: tuple[int, ...]
    classes: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    masks: tuple[int, ...] = ()


def _said_classes(model: Signature) -> int:
    names = model.said("names")
    if not names and isinstance(labels := model.metadata.get("labels"), str):
        names = labels.split()
    return len(names) if isinstance(names, dict | list | tuple) else 0


def _coefficients(model: Signature) -> tuple[tuple[int, ...], int]:
    """Return the output with mask prototypes (1, coefficients, h, w), if any, and how many these are."""
    found = [i for i in model.of_rank(4) if model.shape(i)[1] > 0][:1]
    return tuple(found), model.shape(found[0])[1] if found else 0


def finished_yolo(model: Signature) -> Match | None:
    """Find rows (1, N, 6 + coefficients) of chosen objects, as the metadata or their number say."""
    prototypes, coefficients = _coefficients(model)
    arguments = model.said("args")
    has_nms = str(model.metadata.get("end2end")) == "True" or (
        isinstance(arguments, dict) and arguments.get("nms") is True
    )
    for number in model.of_rank(3):
        columns = model.shape(number)[2]
        if columns == 6 + coefficients and (has_nms or model.is_list(number)):
            options = _FINISHED_RTDETR if model.metadata.get("head") == "RTDETRDecoder" else {}
            return Match((number,), _said_classes(model), options, prototypes)
    return None


def effdet(model: Signature) -> Match | None:
    """Find rows (1, N, 6) of chosen objects, whose number follows from no size of the input."""
    for number in model.of_rank(3):
        _, rows, columns = model.shape(number)
        if columns == 6 and (model.is_list(number) or (rows == -1 and not model.is_open)):
            return Match((number,))
    return None


def yolo_channels(model: Signature) -> Match | None:
    """Find channels (1, 4 + classes + coefficients, cells)."""
    prototypes, coefficients = _coefficients(model)
    for number in model.of_rank(3):
        _, channels, cells = model.shape(number)
        classes = channels - 4 - coefficients
        are_cells = cells == -1 or cells > channels or model.are_cells(cells)
        if are_cells and classes > 0 and _said_classes(model) in {0, classes}:
            # YOLOv9 writes what Ultralytics does but for the task, and resizes and chooses as YOLOv5.
            is_v9 = "stride" in model.metadata and "task" not in model.metadata
            return Match((number,), classes, {"iou": 0.45, "resize": "yolov5"} if is_v9 else {}, prototypes)
    return None


def yolo_rows(model: Signature) -> Match | None:
    """Find rows (1, 3 * cells, 5 + classes + coefficients)."""
    prototypes, coefficients = _coefficients(model)
    for number in model.of_rank(3):
        _, rows, columns = model.shape(number)
        classes = columns - 5 - coefficients
        if columns > 0 and classes > 0 and (rows == -1 or model.are_cells(rows, 3)):
            # Of one class YOLOv7 trains only whether there is an object; YOLOv5 tells itself by its stride.
            is_v7 = classes == 1 and "stride" not in model.metadata
            return Match((number,), classes, {"scores": "objectness"} if is_v7 else {}, prototypes)
    return None


def yolox(model: Signature) -> Match | None:
    """Find rows (1, cells, 5 + classes)."""
    for number in model.of_rank(3):
        _, rows, columns = model.shape(number)
        if columns > 5 and model.are_cells(rows) and not model.metadata.get("task"):
            return Match((number,), columns - 5)
    return None


def ultralytics_rtdetr(model: Signature) -> Match | None:
    """Find rows (1, N, 4 + classes) of few queries."""
    for number in model.of_rank(3):
        columns = model.shape(number)[2]
        if model.is_list(number) and columns - 4 == _said_classes(model) > 0:
            return Match((number,), columns - 4)
    return None


def batched_rows(model: Signature) -> Match | None:
    """Find rows (N, 7) of chosen objects."""
    found = [i for i in model.of_rank(2) if model.shape(i)[1] == 7]
    return Match(tuple(found[:1])) if found else None


def yolo_lists(model: Signature) -> Match | None:
    """Find lists under the names that YOLOv9 gives them."""
    found = model.named("det_boxes", "det_scores", "det_classes")
    return Match(found) if found else None


def efficientdet(model: Signature) -> Match | None:
    """Find rows (1, N, 7) of chosen objects; what takes bytes, or any size, prepares pictures itself."""
    found = [i for i in model.of_rank(3) if model.shape(i)[2] == 7 and model.is_list(i)]
    options: dict[str, Any] = {"resize": "whole"} if model.is_open else {}
    if not model.inputs[model.picture].is_float:
        options |= {"mean": (0, 0, 0), "std": (1, 1, 1)}
    return Match(tuple(found[:1]), 0, options) if found else None


def of_target_sizes(model: Signature) -> Match | None:
    """Find lists, of a model that asks for the size of the original picture."""
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


def _coco_numbers(classes: int) -> dict[str, Any]:
    """Return the options of networks whose outputs are COCO's category ids, 0 to 90."""
    return {"first_class": 1} if classes == 91 else {}


def rf_detr(model: Signature) -> Match | None:
    """Find queries under the names that RF-DETR gives them."""
    if not (model.named("dets", "labels") and (found := _queries(model))):
        return None
    masks = tuple(i for i in model.of_rank(4) if model.shape(i)[1] == model.shape(found.outputs[0])[1])[:1]
    options = _coco_numbers(found.classes)
    return Match(found.outputs, found.classes - 1, options, masks)


def detr(model: Signature) -> Match | None:
    """Find queries; of few, or where the names say so, the last class is none."""
    found = _queries(model)
    if found is None:
        return None
    count = model.shape(found.outputs[0])[1]
    said = _said_classes(model)
    has_none = found.classes == said + 1 if said else count <= 100 or found.classes == 92
    classes = found.classes - has_none
    options = _coco_numbers(classes)
    # With sigmoid, RT-DETR and D-FINE have 80 of COCO's; Conditional DETR and its kin all numbers, as DETR.
    if has_none or options:
        options |= {"resize": "shortest", "size": (800, 1333), **IMAGENET}
        if not model.is_open:
            options |= {"resize": "stretch", "size": model.size}
    if has_none:
        options["scores"] = "softmax"
    return Match(found.outputs, classes, options)


def mmdeploy(model: Signature) -> Match | None:
    """Find lists under the names that mmdeploy gives them, boxes (N, 5) with their scores."""
    found = model.named("dets", "labels")
    if found is None or model.shape(found[0])[-1:] != (5,):
        return None
    return Match(found, masks=model.named("masks") or ())


def tensorflow(model: Signature) -> Match | None:
    """Find lists under the names that TensorFlow's detection API gives them."""
    found = model.named("detection_boxes", "detection_scores", "detection_classes")
    options = {"resize": "whole"} if model.is_open else {}
    return Match(found, 0, options, model.named("detection_masks") or ()) if found else None


def lists(model: Signature) -> Match | None:
    """Find boxes (…, 4), scores and classes of one length, under whatever names."""
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
    return Match((boxes[0], scores[0], classes[0]), masks=tuple(masks))


def _is_named(model: Signature, number: int) -> bool:
    return any(word in name.lower() for name in model.outputs[number].names for word in ("label", "class"))
