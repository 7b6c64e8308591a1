"""Files that the engine shall not see are refused in words, before it does."""

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from flask_detector.detectors.onnx import header
from flask_detector.detectors.onnx.header import check_header
from flask_detector.errors import CheckpointError
from tests.support.exported_models import model_of

ANSWER = {"output0": np.zeros((1, 6, 84), np.float32)}


def written(path: Path, model: Any) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        check_header(path)
    return caught.value.message


def with_data_in(location: str) -> Any:
    model = model_of(ANSWER)
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "2016"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return model


def test_a_common_model_is_let_through(tmp_path: Path) -> None:
    check_header(written(tmp_path / "model.onnx", model_of(ANSWER)))


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "sub/../../secret", "link", "a\0b"])
def test_arrays_outside_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(2016))
    (folder / "link").symlink_to(tmp_path / "secret")
    assert "outside its folder" in refusal(written(folder / "model.onnx", with_data_in(location)))


def test_a_name_that_is_too_long_for_a_file_is_one_that_is_not_here(tmp_path: Path) -> None:
    assert "which is not here" in refusal(written(tmp_path / "model.onnx", with_data_in("a" * 500)))


def test_a_name_that_no_folder_can_have_is_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", with_data_in("model.onnx/.." * 100))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("name", ["model.xml", "model"])
def test_what_a_file_is_does_not_depend_on_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.bin").touch()
    assert "outside its folder" in refusal(written(tmp_path / name, with_data_in("../secret")))
    (tmp_path / name).write_text('<net name="m" version="11"><layers></layers></net>')
    check_header(tmp_path / name)


def test_arrays_in_a_file_beside_it_are_let_through_and_missing_ones_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", with_data_in("model.onnx.data"))
    assert "another file, model.onnx.data, which is not here" in refusal(path)
    (tmp_path / "model.onnx.data").write_bytes(bytes(2016))
    check_header(path)


def test_arrays_elsewhere_are_found_in_constants_and_in_branches_as_well(tmp_path: Path) -> None:
    tensor = with_data_in("../secret").graph.initializer[1]
    constant = helper.make_node("Constant", [], ["inner"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=tensor)
    branch = helper.make_graph([constant], "branch", [], [])
    node = helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch)
    assert "outside its folder" in refusal(written(tmp_path / "m.onnx", model_of(ANSWER, nodes=[node])))


def test_operators_that_no_standard_has_are_named(tmp_path: Path) -> None:
    node = helper.make_node("EfficientNMS_TRT", ["images"], ["chosen"], domain="TRT")
    message = refusal(written(tmp_path / "model.onnx", model_of(ANSWER, nodes=[node])))
    assert message.endswith("not part of ONNX: TRT.EfficientNMS_TRT.")


def test_operators_that_the_file_defines_itself_are_let_through(tmp_path: Path) -> None:
    node = helper.make_node("Same", ["images"], ["chosen"], domain="mine")
    model = model_of(ANSWER, nodes=[node])
    inner = helper.make_node("Identity", ["x"], ["y"])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "Same", ["x"], ["y"], [inner], opsets))
    check_header(written(tmp_path / "model.onnx", model))


def function(name: str, calls: Sequence[tuple[str, str]]) -> Any:
    """A function of the domain `mine`, in which one operator follows the other."""
    nodes = [
        helper.make_node(operator, [f"x{i}"], [f"x{i + 1}"], domain=domain)
        for i, (domain, operator) in enumerate(calls)
    ]
    return helper.make_function(
        "mine", name, ["x0"], [f"x{len(calls)}"], nodes, [helper.make_opsetid("", 17)]
    )


def with_functions(*functions: Any) -> Any:
    model = model_of(ANSWER, nodes=[helper.make_node("f0", ["images"], ["chosen"], domain="mine")])
    model.functions.extend(functions)
    return model


def test_functions_that_become_too_many_nodes_are_refused(tmp_path: Path) -> None:
    inner = [function(f"f{i}", [("mine", f"f{i + 1}")] * 100) for i in range(3)]
    model = with_functions(*inner, function("f3", [("", "Sin")]))
    assert "more than 20000 nodes" in refusal(written(tmp_path / "model.onnx", model))


def test_functions_that_are_in_themselves_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    itself = with_functions(function("f0", [("mine", "f0")]))
    assert "functions in themselves" in refusal(written(path, itself))
    mutual = with_functions(function("f0", [("mine", "f1")]), function("f1", [("mine", "f0")]))
    assert "functions in themselves" in refusal(written(path, mutual))
    deep = [function(f"f{i}", [("mine", f"f{i + 1}")] * 2) for i in range(30)]
    assert "in more than 8 others" in refusal(written(path, with_functions(*deep)))


def test_a_chain_that_the_engine_would_need_minutes_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    chain = [helper.make_node("Sin", [f"x{i}"], [f"x{i + 1}"]) for i in range(header.LONGEST_CHAIN)]
    beside = [helper.make_node("Sin", ["images"], [f"y{i}"]) for i in range(header.LONGEST_CHAIN)]
    check_header(written(path, model_of(ANSWER, nodes=[*chain, *beside])))
    more = helper.make_node("Sin", [f"x{len(chain)}"], ["end"])
    assert "nodes of the model follow one another" in refusal(
        written(path, model_of(ANSWER, nodes=[*chain, more]))
    )
    in_calls = with_functions(function("f0", [("", "Sin")] * (header.LONGEST_CHAIN + 1)))
    assert "follow one another" in refusal(written(path, in_calls))


@pytest.mark.slow
def test_a_graph_of_a_million_nodes_is_refused_at_once(tmp_path: Path) -> None:
    model = model_of(ANSWER)
    node = helper.make_node("Identity", ["images"], ["same"]).SerializeToString()
    field = bytes([0x0A, len(node)]) + node
    graph = model.graph.SerializeToString() + field * 1_000_000
    size = len(graph)
    length = bytes((size >> shift & 0x7F) | (0x80 if size >> shift + 7 else 0) for shift in range(0, 28, 7))
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x09\x3a" + length.rstrip(b"\0") + graph)
    start = time.process_time()
    assert "more than 20000 nodes" in refusal(path)
    assert time.process_time() - start < 5


def test_graphs_within_graphs_are_counted(tmp_path: Path) -> None:
    branch = helper.make_graph([], "innermost", [], [])
    for _ in range(12):
        node = helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch)
        branch = helper.make_graph([node], "branch", [], [])
    assert "graphs in more than 8 others" in refusal(
        written(tmp_path / "m.onnx", model_of(ANSWER, nodes=[node]))
    )


def test_a_file_of_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x09")
    os.truncate(path, header.MOST_BYTES)
    assert refusal(path).startswith("The file has 2.0 GB")
    data = tmp_path / "model.data"
    data.touch()
    os.truncate(data, header.MOST_BYTES)
    assert "with the files beside it" in refusal(written(path, with_data_in("model.data")))


def test_a_file_cut_anywhere_is_damaged_or_has_no_graph(tmp_path: Path) -> None:
    whole = model_of(ANSWER).SerializeToString()
    path = tmp_path / "model.onnx"
    for end in (*range(1, 40, 3), *range(60, len(whole), 397)):
        path.write_bytes(whole[:end])
        assert re.search(r"damaged or cut short|has no graph", refusal(path))


def test_openvinos_own_file_needs_its_arrays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_text('<?xml version="1.0"?><net name="m" version="11"><layers></layers></net>')
    assert "another file, model.bin, which is not here" in refusal(path)
    (tmp_path / "model.bin").touch()
    check_header(path)
    path.write_text("<net>" + "<layer /> " * 20_001 + "</net>")
    assert "more than 20000 nodes" in refusal(path)
