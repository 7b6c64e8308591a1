"""What a file makes the engine compute ends with the process that reads it, and is told in words."""

import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from flask_detector.detectors.convert import convert
from flask_detector.detectors.onnx import isolated
from flask_detector.errors import CheckpointError, ForeignCheckpoint
from tests.support.exported_models import ULTRALYTICS, write_model, yolo_channels

ANSWER = {"output0": yolo_channels([[32, 32, 32, 16]], [[0.1, 0.9]])}

pytestmark = pytest.mark.slow


def refusal(file: Path, folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        convert(file, folder)
    assert not folder.exists()
    assert list(folder.parent.glob(".*")) == []
    return caught.value.message


def test_a_model_is_read_tried_and_written_and_this_process_has_no_part_in_it(tmp_path: Path) -> None:
    file = write_model(tmp_path / "any name", ANSWER, metadata=ULTRALYTICS)
    reading = convert(file, tmp_path / "converted")
    assert (reading.variant, reading.labels) == ("yolo", ("bolt", "nut"))
    assert sorted(path.name for path in (tmp_path / "converted").iterdir()) == [
        "graph.bin",
        "graph.xml",
        "manifest.json",
    ]


def test_errors_come_back_as_they_are_with_the_file_s_name(tmp_path: Path) -> None:
    file = write_model(tmp_path / "pose.onnx", ANSWER, metadata={**ULTRALYTICS, "task": "pose"})
    with pytest.raises(ForeignCheckpoint, match=r"pose.onnx: The model is for the task 'pose'") as caught:
        convert(file, tmp_path / "converted")
    assert caught.value.hint == "Detection and segmentation are served here."


def test_a_loop_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_SECONDS_IN_ALL", 12)
    always = numpy_helper.from_array(np.array(True), "always")
    most = numpy_helper.from_array(np.array(2**62), "most")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["condition"], ["condition_out"]),
            helper.make_node("Sin", ["x"], ["x_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ()),
        ],
        [
            helper.make_tensor_value_info("condition_out", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("x_out", TensorProto.FLOAT, ()),
        ],
    )
    import onnx

    file = write_model(tmp_path / "endless.onnx", ANSWER, metadata=ULTRALYTICS)
    model = onnx.load(file)
    model.graph.initializer.extend([always, most])
    loop = helper.make_node("Loop", ["most", "always", "nothing"], ["looped"], body=body)
    model.graph.node.insert(3, loop)
    model.graph.node[-1].input[1] = "looped"
    onnx.save(model, file)
    assert "12 seconds" in refusal(file, tmp_path / "converted")


def test_an_answer_of_absurd_size_is_refused(tmp_path: Path) -> None:
    import onnx

    file = write_model(tmp_path / "huge.onnx", ANSWER, metadata=ULTRALYTICS)
    model = onnx.load(file)
    sides = numpy_helper.from_array(np.array([40_000, 6, 100_000]), "sides")
    model.graph.initializer.append(sides)
    model.graph.node.append(helper.make_node("Expand", ["nothing", "sides"], ["output1"]))
    model.graph.output.append(
        helper.make_tensor_value_info("output1", TensorProto.FLOAT, [40_000, 6, 100_000])
    )
    onnx.save(model, file)
    assert "(40000, 6, 100000), which no detector needs" in refusal(file, tmp_path / "converted")


def test_memory_without_end_ends_the_reading_alone(tmp_path: Path) -> None:
    import onnx

    # 96 GB between the nodes, whose size depends on the picture, so that nothing tells beforehand.
    file = write_model(tmp_path / "hungry.onnx", ANSWER, metadata=ULTRALYTICS)
    model = onnx.load(file)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([1.0], np.float32), "one"),
            numpy_helper.from_array(np.array([4_000, 6, 1_000_000], np.int64), "many"),
        ]
    )
    nodes = [
        helper.make_node("Cast", ["nothing"], ["zero_int"], to=TensorProto.INT64),
        helper.make_node("Add", ["many", "zero_int"], ["sides"]),
        helper.make_node("Expand", ["one", "sides"], ["large"]),
        helper.make_node("Sin", ["large"], ["waves"]),
        helper.make_node("ReduceMax", ["waves"], ["highest"], keepdims=0),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(3, node)
    model.graph.node[-1].input[1] = "highest"
    onnx.save(model, file)
    assert "memory" in refusal(file, tmp_path / "converted")


def test_an_engine_that_breaks_down_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_model(tmp_path / "model.onnx", ANSWER)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "engine broke down" in refusal(file, tmp_path / "converted")


def test_what_the_engine_can_not_read_is_told_in_its_words(tmp_path: Path) -> None:
    node = helper.make_node("Sin", ["missing"], ["wave"])
    file = write_model(tmp_path / "model.onnx", ANSWER, nodes=[node])
    assert "engine can't read the model" in refusal(file, tmp_path / "converted")
