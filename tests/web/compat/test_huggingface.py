"""Hugging Face's inference interface over a connection."""

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

Call = Callable[..., Any]
While = Callable[[Callable[[], TestResponse]], TestResponse]

ADDRESSES = [
    "/models",
    "/models/nanodet-g",
    "/pipeline/object-detection",
    "/pipeline/object-detection/nanodet-g",
]


@pytest.mark.parametrize("path", ADDRESSES)
def test_bytes_without_a_type_are_detected(call: Call, street: bytes, path: str) -> None:
    answer = call("POST", path, street)
    assert answer.status == 200
    assert answer.json
    for one in answer.json:
        assert set(one) == {"label", "score", "box"}
        box = one["box"]
        assert all(isinstance(side, int) for side in box.values())
        assert 0 <= box["xmin"] < box["xmax"] <= 1200
        assert 0 <= box["ymin"] < box["ymax"] <= 726
        assert one["score"] >= 0.5


def test_base64_with_parameters_is_detected(call: Call, street64: str) -> None:
    body = {"inputs": street64, "parameters": {"threshold": 0.75}}
    few = call("POST", "/models/nanodet-g", body).json
    assert 0 < len(few) < len(call("POST", "/models/nanodet-g", {"inputs": street64}).json)
    assert call("POST", "/models/nanodet-g", {**body, "parameters": {"threshold": 1}}).json == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": "%"},
        {"inputs": 5},
        {"inputs": "http://127.0.0.1/x.jpg"},
        {"parameters": {"threshold": "much"}},
        {"parameters": [1]},
    ],
)
def test_malformed_requests_are_refused(call: Call, street64: str, wrong: dict[str, Any]) -> None:
    answer = call("POST", "/models/nanodet-g", {"inputs": street64, **wrong})
    assert (answer.status, set(answer.json)) == (400, {"error"})


def test_a_model_without_masks_can_not_segment_and_says_so(call: Call, street: bytes) -> None:
    answer = call("POST", "/pipeline/image-segmentation", street)
    assert answer.status == 400
    assert "boxes only" in answer.json["error"]


def test_masks_are_grey_pictures(
    app: Flask, masked: str, small: bytes, ring: Any, while_working: While
) -> None:
    post = app.test_client().post
    for path in (
        "/pipeline/image-segmentation",
        f"/pipeline/image-segmentation/{masked}",
        f"/models/{masked}",
    ):
        answer = while_working(partial(post, path, data=small))
        assert answer.json is not None
        dog, cat = answer.json
        assert (dog["label"], cat["label"]) == ("dog", "cat")
        with Image.open(io.BytesIO(base64.b64decode(dog["mask"]))) as mask:
            assert (mask.format, mask.mode) == ("PNG", "L")
            assert (np.asarray(mask) == ring * 255).all()
        assert ("box" in dog) is (path == f"/models/{masked}")
