"""What exported files are recognised as, how they are read, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from flask_detector.detectors.onnx.convert import convert
from flask_detector.detectors.onnx.model import OnnxDetector
from flask_detector.detectors.reading import Reading
from flask_detector.errors import BadParameter, CheckpointError, ForeignCheckpoint
from flask_detector.structures.detections import Detections
from tests.support.exported_models import ULTRALYTICS, Array, model_of, write_model, yolo_channels

BOX = [16.0, 24.0, 48.0, 40.0]
CENTRED = [32.0, 32.0, 32.0, 16.0]
FLOATS = np.float32


def read(tmp_path: Path, outputs: dict[str, Any], **more: Any) -> Reading:
    """What a model with these answers is recognised as; its folder is `converted`."""
    asked = {name: more.pop(name) for name in ("variant", "labels", "options") if name in more}
    path = write_model(tmp_path / "model.onnx", outputs, **more)
    (tmp_path / "converted").mkdir(exist_ok=True)
    return convert(path, tmp_path / "converted", **{"variant": None, "labels": (), "options": {}, **asked})


def found_in(tmp_path: Path, height: int = 64, width: int = 64) -> Detections:
    """What the converted model finds in a picture of that size."""
    return OnnxDetector(tmp_path / "converted", name="mine").detect(np.zeros((height, width, 3), np.uint8))


def rows(numbers: list[float], count: int, width: int = 6) -> Array:
    found = np.zeros((1, count, width), FLOATS)
    found[0, 0] = numbers
    return found


def channels() -> Array:
    return yolo_channels([CENTRED], [[0.1, 0.9]])


LISTS = {
    "boxes": np.array([BOX], FLOATS),
    "labels": np.array([2], np.int64),
    "scores": np.array([0.9], FLOATS),
}
QUERIES = {
    "logits": np.array([[[-9, 3, -9], [-9, -9, -9]]], FLOATS),
    "pred_boxes": np.array([[[0.5, 0.5, 0.5, 0.25], [0.1, 0.1, 0.1, 0.1]]], FLOATS),
}
# Family, answers, and what else: all find one object of the second class in the same box.
FORMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "channels": ("yolo", {"output0": channels()}, {}),
    "rows with objectness": ("yolov5", {"output": rows([*CENTRED, 0.9, 0.1, 1.0], 252, 7)}, {}),
    "finished rows": ("yolo-finished", {"output0": rows([*BOX, 0.9, 1], 20)}, {"labels": ("bolt", "nut")}),
    "effdet": (
        "effdet",
        {"detections": rows([*BOX, 0.9, 2], 20)},
        {"labels": ("bolt", "nut"), "variant": "effdet"},
    ),
    "finished rows of a batch": (
        "yolo-batch",
        {"output": np.array([[0, *BOX, 1, 0.9]], FLOATS)},
        {"labels": ("bolt", "nut")},
    ),
    "YOLOX": (
        "yolox",
        # The cell of stride 8 in row 4 and column 4, which begins at the picture's centre.
        {
            "output": np.concatenate(
                [rows([0] * 7, 36, 7), rows([0, 0, np.log(4), np.log(2), 0.9, 0.1, 1], 48, 7)], 1
            )
        },
        {},
    ),
    "target sizes": (
        "target-sizes",
        {
            "labels": np.array([[1]], np.int64),
            "boxes": np.array([[BOX]], FLOATS),
            "scores": np.array([[0.9]], FLOATS),
        },
        {"inputs": {"images": (1, 3, 64, 64), "orig_target_sizes": (1, 2)}, "labels": ("bolt", "nut")},
    ),
    "queries": (
        "detr",
        QUERIES,
        {"options": {"scores": "sigmoid"}, "metadata": {"names": "['a', 'b', 'c']"}},
    ),
    "RF-DETR": (
        "rf-detr",
        {"dets": QUERIES["pred_boxes"], "labels": QUERIES["logits"]},
        {"inputs": {"input": (1, 3, 64, 64)}},
    ),
    "torchvision": ("lists", LISTS, {"labels": ("bolt", "nut"), "options": {"resize": "corner"}}),
    "mmdeploy": (
        "mmdeploy",
        {"dets": np.array([[[*BOX, 0.9]]], FLOATS), "labels": np.array([[1]], np.int64)},
        {"labels": ("bolt", "nut")},
    ),
    "TensorFlow": (
        "tensorflow",
        {
            "detection_boxes": np.array([[[0.375, 0.25, 0.625, 0.75]]], FLOATS),
            "detection_classes": np.array([[2]], FLOATS),
            "detection_scores": np.array([[0.9]], FLOATS),
            "num_detections": np.array([1], FLOATS),
        },
        {
            "inputs": {"input_tensor": (1, 64, 64, 3)},
            "kind": TensorProto.UINT8,
            "labels": ("bolt", "nut"),
        },
    ),
    "EfficientDet": (
        "efficientdet",
        {"detections:0": rows([0, 24, 16, 40, 48, 0.9, 2], 20, 7)},
        {"inputs": {"image_arrays:0": (1, 64, 64, 3)}, "labels": ("bolt", "nut")},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_recognised_and_its_boxes_are_where_they_belong(tmp_path: Path, form: str) -> None:
    family, answers, more = FORMS[form]
    reading = read(tmp_path, answers, **more)
    assert (reading.variant, reading.architecture, reading.has_masks) == (family, "onnx", False)
    found = found_in(tmp_path)
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.boxes, [BOX], atol=0.01)
    assert found.scores[0] == pytest.approx(0.9, abs=0.06)


def test_boxes_come_back_from_a_letterbox(tmp_path: Path) -> None:
    read(tmp_path, {"output0": channels()}, metadata=ULTRALYTICS)
    # 128x64 becomes 64x32 with 16 rows of grey above and below.
    np.testing.assert_allclose(found_in(tmp_path, height=64, width=128).boxes, [[32, 16, 96, 48]], atol=0.01)


def test_boxes_come_back_from_a_letterbox_as_yolov5_counts(tmp_path: Path) -> None:
    read(tmp_path, {"output0": channels()}, metadata=ULTRALYTICS, options={"resize": "yolov5"})
    # 1024x683 becomes 64x42.69, which is 64x43 with 10 rows of grey above, but counts as 10.66 of them.
    found = found_in(tmp_path, height=683, width=1024).boxes
    np.testing.assert_allclose(found, [[256, 213.5, 768, 469.5]], atol=0.01)


def test_an_open_number_of_rows_in_a_fixed_size_tells_effdet(tmp_path: Path) -> None:
    # Those rows are taken whose numbers sum to something, and no shape tells how many.
    taken = [
        helper.make_node("Exp", ["nothing"], ["one"]),
        helper.make_node("Mul", ["detections_numbers", "one"], ["found"]),
        helper.make_node("ReduceMean", ["found"], ["means"], axes=[0, 2], keepdims=0),
        helper.make_node("NonZero", ["means"], ["places"]),
        helper.make_node("Constant", [], ["flat"], value_ints=[-1]),
        helper.make_node("Reshape", ["places", "flat"], ["numbers"]),
        helper.make_node("Gather", ["found", "numbers"], ["rows"], axis=1),
    ]
    path = tmp_path / "model.onnx"
    model = model_of({"detections": rows([*BOX, 0.9, 2], 20)}, nodes=taken)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("rows", TensorProto.FLOAT, (1, None, 6)))
    onnx.save(model, path)
    (tmp_path / "converted").mkdir()
    reading = convert(path, tmp_path / "converted", variant=None, labels=("bolt", "nut"), options={})
    assert reading.variant == "effdet"
    assert found_in(tmp_path).class_ids.tolist() == [1]


@pytest.mark.parametrize(("classes", "resize"), [(80, "stretch"), (91, "shortest")])
def test_cocos_numbers_tell_queries_of_the_short_side_from_those_of_a_square(
    tmp_path: Path, classes: int, resize: str
) -> None:
    answers = {"logits": np.zeros((1, 300, classes), FLOATS), "pred_boxes": np.full((1, 300, 4), 0.5, FLOATS)}
    reading = read(tmp_path, answers, inputs={"pixel_values": (1, 3, "height", "width")})
    assert reading.options.get("resize", "stretch") == resize
    assert ("mean" in reading.options) == (classes == 91)


def test_metadata_tell_names_licence_and_that_nothing_is_in_doubt(tmp_path: Path) -> None:
    reading = read(tmp_path, {"output0": channels()}, metadata=ULTRALYTICS)
    assert reading.labels == ("bolt", "nut")
    assert reading.licence == ULTRALYTICS["license"]
    assert reading.notes == ("The class names come from the file.",)


def test_without_metadata_what_was_assumed_is_said(tmp_path: Path) -> None:
    notes = " ".join(read(tmp_path, {"output0": channels()}).notes)
    assert "so they are numbered" in notes
    assert "Assumed, since the file does not say: pictures are resized to fit and padded around" in notes
    assert "with resize=stretch; bgr=true" in notes


def test_metadata_tell_chosen_rows_from_cells(tmp_path: Path) -> None:
    answers = {"output0": rows([*BOX, 0.9, 1], 84)}
    assert read(tmp_path, answers).variant == "yolox"
    assert read(tmp_path, answers, metadata={**ULTRALYTICS, "end2end": "True"}).variant == "yolo-finished"
    arguments = {**ULTRALYTICS, "args": "{'nms': True}"}
    assert read(tmp_path, answers, metadata=arguments).variant == "yolo-finished"
    np.testing.assert_allclose(found_in(tmp_path).boxes, [BOX], atol=0.01)


def test_rows_of_ultralytics_rt_detr_are_parts_of_a_stretched_picture(tmp_path: Path) -> None:
    answers = {"output0": rows([0.5, 0.5, 0.5, 0.25, 0.9, 1], 20)}
    read(tmp_path, answers, metadata={**ULTRALYTICS, "head": "RTDETRDecoder"})
    np.testing.assert_allclose(found_in(tmp_path, 64, 128).boxes, [[32, 24, 96, 40]], atol=0.01)


def test_boxes_that_are_parts_of_the_sides_are_noticed(tmp_path: Path) -> None:
    answers = {**LISTS, "boxes": np.array([BOX], FLOATS) / 64}
    reading = read(tmp_path, answers, labels=("bolt", "nut"), options={"resize": "corner"})
    assert reading.options["normalised"] is True
    np.testing.assert_allclose(found_in(tmp_path).boxes, [BOX], atol=0.01)


def test_options_are_kept_and_applied(tmp_path: Path) -> None:
    reading = read(tmp_path, {"output0": channels()}, options={"resize": "stretch", "bgr": "true"})
    assert {**reading.options, "size": None} == {"size": None, "resize": "stretch", "bgr": True}
    np.testing.assert_allclose(found_in(tmp_path, height=64, width=128).boxes, [[32, 24, 96, 40]], atol=0.01)


def test_a_description_beside_the_file_says_what_the_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("resize: stretch\nnames:\n  0: screw\n  1: washer\n")
    reading = read(tmp_path, {"output0": channels()})
    assert (reading.labels, reading.options["resize"]) == (("screw", "washer"), "stretch")
    assert read(tmp_path, {"output0": channels()}, labels=("a", "b")).labels == ("a", "b")


def test_a_family_can_be_named_and_must_fit(tmp_path: Path) -> None:
    answers = {"output": rows([*CENTRED, 0.9, 0.1, 1.0], 84, 7)}
    assert read(tmp_path, answers).variant == "yolox"
    decoded = read(tmp_path, answers, options={"boxes": "cxcywh"})
    assert decoded.options["boxes"] == "cxcywh"
    np.testing.assert_allclose(found_in(tmp_path).boxes, [BOX], atol=0.01)
    with pytest.raises(BadParameter, match="There is no family 'yolo9000'"):
        read(tmp_path, answers, variant="yolo9000")
    with pytest.raises(ForeignCheckpoint, match="those of no family"):
        read(tmp_path, answers, variant="tensorflow")


def test_an_open_size_stays_open_for_a_letterbox(tmp_path: Path) -> None:
    inputs = {"images": ("batch", 3, "height", "width")}
    read(tmp_path, {"output0": channels()}, metadata=ULTRALYTICS, inputs=inputs)
    # The network sees 32x64: what it answers lies 16 rows lower.
    np.testing.assert_allclose(found_in(tmp_path, height=64, width=128).boxes, [[32, 48, 96, 64]], atol=0.01)


def test_half_precision_is_read(tmp_path: Path) -> None:
    answers = {"output0": channels().astype(np.float16)}
    read(tmp_path, answers, metadata=ULTRALYTICS, kind=TensorProto.FLOAT16)
    np.testing.assert_allclose(found_in(tmp_path).boxes, [BOX], atol=0.05)


def test_masks_of_prototypes_are_cut_at_their_boxes(tmp_path: Path) -> None:
    answers = {"output0": np.concatenate([channels(), np.ones((1, 1, 84), FLOATS)], 1)}
    prototypes = np.full((1, 1, 16, 16), -1, FLOATS)
    prototypes[..., 8:] = 1
    reading = read(tmp_path, {**answers, "output1": prototypes}, metadata={**ULTRALYTICS, "task": "segment"})
    assert reading.has_masks
    (mask,) = found_in(tmp_path).masks or ()
    assert mask is not None
    assert (mask.x, mask.y, mask.width, mask.height, mask.area) == (32, 24, 16, 16, 256)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_answers_that_are_no_finite_numbers_are_refused(tmp_path: Path, number: float) -> None:
    answers = channels()
    answers[0, 0, 0] = number
    with pytest.raises(CheckpointError, match="YOLO since v8 answers with values that are no finite numbers"):
        read(tmp_path, {"output0": answers})


@pytest.mark.parametrize(
    ("outputs", "more", "words"),
    [
        ({"output0": np.zeros((1, 1000), FLOATS)}, {}, "those of no family known here: inputs images"),
        ({"output0": channels()}, {"metadata": {**ULTRALYTICS, "task": "pose"}}, "for the task 'pose'"),
        ({"output0": channels()}, {"inputs": {"x": (4, 3, 64, 64)}}, "takes 4 pictures at once"),
        ({"output0": channels()}, {"inputs": {"x": (1, 1, 64, 64)}}, "pictures of three channels"),
        (
            {"output0": channels()},
            {"inputs": {"images": (1, 3, 64, 64), "im_shape": (1, 2)}},
            "an input 'im_shape' that is not known",
        ),
    ],
)
def test_what_is_not_served_is_refused_in_words(
    tmp_path: Path, outputs: dict[str, Array], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ForeignCheckpoint, match=words):
        read(tmp_path, outputs, **more)


def test_a_size_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="takes pictures of 64x64 alone"):
        read(tmp_path, {"output0": channels()}, options={"size": "640"})


def test_the_folder_says_in_json_how_the_model_is_read(tmp_path: Path) -> None:
    read(tmp_path, {"output0": channels()}, metadata=ULTRALYTICS)
    manifest = json.loads((tmp_path / "converted" / "manifest.json").read_text())
    assert (manifest["architecture"], manifest["variant"]) == ("onnx", "yolo")
    assert manifest["labels"] == ["bolt", "nut"]
