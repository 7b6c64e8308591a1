"""Models quantised for OpenVINO compute as they do there."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as opset

from flask_detector.detectors.convert import convert
from flask_detector.detectors.onnx.model import OnnxDetector

pytestmark = pytest.mark.slow


def rounded(x: Any, low: float, high: float, steps: int = 256) -> Any:
    return opset.fake_quantize(x, *np.array([low, high, low, high], np.float32), steps)


def quantised_for_openvino(path: Path) -> None:
    """Write a network of one cell for each 8x8 pixels of 64x64, as NNCF marks one."""
    generator = np.random.default_rng(7)
    pixels = opset.parameter([1, 3, 64, 64], np.float32, name="images")
    x = rounded(pixels, 0, 1)
    for inputs, outputs, stride in ((3, 16, 2), (16, 16, 2), (16, 16, 2), (16, 6, 1)):
        weights = generator.normal(0, 1 / np.sqrt(inputs * 9), (outputs, inputs, 3, 3)).astype(np.float32)
        of_weights = rounded(opset.constant(weights), -1, 1, 255)
        x = opset.convolution(x, of_weights, [stride] * 2, [1, 1], [1, 1], [1, 1])
        x = x if outputs == 6 else rounded(opset.relu(x), 0, 2)
    cells = opset.reshape(x, opset.constant(np.array([1, 6, 64])), special_zero=False)
    ov.save_model(ov.Model([cells], [pixels], "model"), path, compress_to_fp16=False)


def test_what_is_quantised_for_openvino_answers_as_openvino_does(tmp_path: Path) -> None:
    file = tmp_path / "model.xml"
    quantised_for_openvino(file)
    convert(file, tmp_path / "converted", labels=["bolt", "nut"], options={"resize": "stretch"})
    ours = OnnxDetector(tmp_path / "converted", name="ours")
    picture = np.random.default_rng(8).integers(0, 256, (64, 64, 3), np.uint8)
    (answer,) = ours._session.run([picture[None]])
    core = ov.Core()
    theirs, in_floats = (
        core.compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **more})
        for more in ({}, {"LP_TRANSFORMS_MODE": False})
    )
    values = (picture[None].astype(np.float32) / 255).transpose(0, 3, 1, 2)
    expected = theirs(values)[0]
    assert np.abs(expected - in_floats(values)[0]).max() > 1e-4, "in 8 bits this network answers the same"
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6)
