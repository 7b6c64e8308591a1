"""CVAT: as the Nuclio that it asks for functions, and as one function that it calls."""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from flask import Flask
from werkzeug.test import TestResponse

Call = Callable[..., Any]
While = Callable[[Callable[[], TestResponse]], TestResponse]


def test_models_are_functions_as_cvat_reads_them(call: Call) -> None:
    functions = call("GET", "/api/functions").json
    assert list(functions) == ["nanodet-g"]
    function = functions["nanodet-g"]
    assert call("GET", "/api/functions/nanodet-g").json == function
    assert function["metadata"]["name"] == "nanodet-g"
    facts = function["metadata"]["annotations"]
    assert (facts["type"], facts["framework"]) == ("detector", "openvino")
    labels = json.loads(facts["spec"])
    assert len({label["name"] for label in labels}) == 80
    assert {label["type"] for label in labels} == {"rectangle"}
    assert function["status"]["state"] == "ready"
    assert isinstance(function["status"]["httpPort"], int)
    assert function["spec"]["description"]
    assert call("GET", "/api/functions/x").status == 404


@pytest.mark.parametrize("path", ["/api/function_invocations", "/", "/cvat", "/cvat/nanodet-g"])
def test_objects_are_rectangles(call: Call, street64: str, path: str) -> None:
    answer = call(
        "POST", path, {"image": street64, "threshold": 0.6}, **{"x-nuclio-function-name": "nanodet-g"}
    )
    assert answer.status == 200
    assert answer.json
    for one in answer.json:
        assert set(one) == {"confidence", "label", "attributes", "type", "points"}
        assert isinstance(one["confidence"], str)
        assert float(one["confidence"]) >= 0.6
        x1, y1, x2, y2 = one["points"]
        assert 0 <= x1 < x2 <= 1200
        assert 0 <= y1 < y2 <= 726
        assert one["type"] == "rectangle"


def test_the_usual_threshold_is_a_half_and_an_empty_result_a_list(call: Call, street64: str) -> None:
    usual = call("POST", "/cvat", {"image": street64}).json
    assert min(float(one["confidence"]) for one in usual) >= 0.5
    assert call("POST", "/cvat", {"image": street64, "threshold": 1}).json == []


@pytest.mark.parametrize(
    "wrong", [{"threshold": "much"}, {"threshold": float("nan")}, {"image": "%"}, {"image": 1}]
)
def test_malformed_requests_are_refused(call: Call, street64: str, wrong: dict[str, Any]) -> None:
    answer = call("POST", "/cvat", {"image": street64, **wrong})
    assert (answer.status, set(answer.json)) == (400, {"error"})


def test_masks_are_the_boxs_values_and_its_corners(
    app: Flask, masked: str, small: bytes, ring: Any, while_working: While
) -> None:
    body = {"image": base64.b64encode(small).decode()}
    answer = while_working(partial(app.test_client().post, f"/cvat/{masked}", json=body))
    assert answer.json is not None
    dog, cat = answer.json
    assert (dog["type"], dog["label"], cat["label"]) == ("mask", "dog", "cat")
    left, top, right, bottom = dog["mask"][-4:]
    assert (left, top, right, bottom) == (2, 3, 11, 12)
    values = np.array(dog["mask"][:-4]).reshape(bottom - top + 1, right - left + 1)
    assert (values == ring[top : bottom + 1, left : right + 1]).all()
    assert len(dog["points"]) % 2 == 0
    assert cat["mask"][-4:] == [20, 20, 28, 24]
    spec = app.test_client().get("/api/functions").json
    assert spec is not None
    assert '"mask"' in spec[masked]["metadata"]["annotations"]["spec"]
