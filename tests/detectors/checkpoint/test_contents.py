"""The network is found under what training puts before its names and beside it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.contents import network_in
from flask_detector.detectors.checkpoint.read import Checkpoint
from flask_detector.detectors.checkpoint.tensors import Storage, Tensor, contiguous

NAMES = ("backbone.conv.weight", "head.cls.weight", "head.box.weight")
MARKS = ("head.cls.weight", "head.box.weight")


def checkpoint(*names: str) -> Checkpoint:
    data = np.zeros(4, np.uint8)
    return Checkpoint({name: contiguous(Storage(name, "float32", 1, data), ()) for name in names}, {})


def under(prefix: str) -> list[str]:
    return [f"{prefix}{name}" for name in NAMES]


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "net.", "detector.", "student.", "teacher.", "model.", "model.module._orig_mod."],
)
def test_a_prefix_is_left_out_with_strangers_beside_it(prefix: str) -> None:
    strangers = ["criterion.weight", "metrics.total"] if prefix else []
    network = network_in(checkpoint(*under(prefix), *strangers), MARKS)
    assert tuple(network.tensors) == NAMES
    assert network.notes == ()


def test_strangers_within_the_network_stay_to_be_told_of() -> None:
    tensors: Mapping[str, Tensor] = network_in(checkpoint(*under("net."), "net.extra.weight"), MARKS).tensors
    assert "extra.weight" in tensors


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ([*under("student."), *under("teacher.")], "teacher."),
        ([*under("model."), *under("ema.")], "ema."),
        ([*under("model_ema.module."), *under("model.")], "model_ema.module."),
        ([*under("model."), "average.n_averaged", *under("average.module.")], "average.module."),
        ([*under("first."), *under("second.")], "first."),
    ],
)
def test_of_several_networks_the_averaged_one_is_taken_and_that_is_said(names: list[str], taken: str) -> None:
    network = network_in(checkpoint(*names), MARKS)
    assert tuple(network.tensors) == NAMES
    (note,) = network.notes
    assert f"{taken}*, is taken" in note
    assert ("the averaged one" in note) == (taken != "first.")


def test_an_averaged_models_counter_is_no_part_of_it() -> None:
    assert tuple(network_in(checkpoint("n_averaged", *under("module.")), MARKS).tensors) == NAMES


def test_a_network_beside_a_larger_one_of_another_kind_is_found() -> None:
    larger = checkpoint(*(f"encoder.{i}" for i in range(20)))
    for others in (
        {"detector": checkpoint(*under("net.")).tensors},
        {"detector": checkpoint(*NAMES).tensors},
    ):
        network = network_in(replace(larger, others={"optimizer": {}, **others}), MARKS)
        assert tuple(network.tensors) == NAMES
        assert "detector is taken" in network.notes[0]


def test_a_network_without_marks_is_given_as_it_is() -> None:
    assert tuple(network_in(checkpoint("a.weight", "b.weight"), MARKS).tensors) == ("a.weight", "b.weight")
