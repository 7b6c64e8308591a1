"""The Open Inference Protocol over a connection: metadata, JSON, binary data, and what is refused."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.structures.masks import Mask

Call = Callable[..., Any]

INFER = "/v2/models/nanodet-g/infer"


def picture(data: Any, **rest: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1], "datatype": "BYTES", "data": data, **rest}


def binary(street: bytes, **rest: Any) -> tuple[bytes, dict[str, str]]:
    """Return a request in the binary form, and its headers."""
    element = struct.pack("<I", len(street)) + street
    tensor = picture(None, parameters={"binary_data_size": len(element)})
    del tensor["data"]
    head = json.dumps({"inputs": [tensor], **rest}).encode()
    return head + element, {"Inference-Header-Content-Length": str(len(head))}


def test_the_server_and_its_models_describe_themselves(call: Call) -> None:
    assert call("GET", "/v2").json["name"] == "flask-detector"
    assert call("GET", "/v2/").status == 200
    assert call("GET", "/v2/health/live").status == 200
    for path in ("/v2/health/ready", "/v2/models/nanodet-g/ready", "/v2/models/nanodet-g/versions/1/ready"):
        assert (call("GET", path).status, call("GET", path).json["ready"]) == (200, True)
    for path in ("/v2/models/nanodet-g", "/v2/models/nanodet-g/versions/1"):
        model = call("GET", path).json
        assert (model["name"], model["versions"], model["platform"]) == ("nanodet-g", ["1"], "openvino")
        assert model["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [1]}]
        assert [output["name"] for output in model["outputs"]] == ["boxes", "scores", "class_ids", "labels"]
    assert call("GET", "/v2/models").json == {"models": ["nanodet-g"]}
    assert call("POST", "/v2/repository/index", b"{}").json[0]["state"] == "READY"


def test_a_server_without_a_worker_is_not_ready(client: FlaskClient) -> None:
    assert client.get("/v2/health/live").status_code == 200
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json) == (503, {"ready": False})


@pytest.mark.parametrize("path", ["x", "x/ready", "nanodet-g/versions/2", "nanodet-g/versions/2/ready"])
def test_unknown_models_and_versions_are_not_found(call: Call, path: str) -> None:
    answer = call("GET", f"/v2/models/{path}")
    assert (answer.status, set(answer.json)) == (404, {"error"})


def test_what_is_not_there_is_told_in_the_protocols_form(call: Call) -> None:
    for method, path in (("POST", "/v2/repository/models/x/load"), ("GET", "/v2/systemsharedmemory/status")):
        answer = call(method, path, b"{}")
        assert (answer.status, set(answer.json)) == (404, {"error"})


def test_json_goes_in_and_comes_out(call: Call, street64: str) -> None:
    answer = call("POST", INFER, {"id": "a1", "inputs": [picture([street64])]})
    assert answer.status == 200
    assert (answer.json["model_name"], answer.json["id"]) == ("nanodet-g", "a1")
    outputs = {output["name"]: output for output in answer.json["outputs"]}
    count = outputs["boxes"]["shape"][0]
    assert count > 0
    assert [outputs[name]["datatype"] for name in outputs] == ["FP32", "FP32", "INT64", "BYTES"]
    assert outputs["boxes"]["shape"] == [count, 4]
    boxes = np.array(outputs["boxes"]["data"]).reshape(count, 4)
    assert (boxes >= 0).all()
    assert (boxes <= [1200, 726, 1200, 726]).all()
    scores = outputs["scores"]["data"]
    assert scores == sorted(scores, reverse=True)
    assert len(outputs["labels"]["data"]) == len(outputs["class_ids"]["data"]) == count
    assert "car" in outputs["labels"]["data"]
    assert "id" not in call("POST", INFER, {"inputs": [picture([[street64]], shape=[1, 1])]}).json


def test_a_least_score_can_be_a_parameter_or_an_input(call: Call, street64: str) -> None:
    score = {"name": "min_score", "shape": [1], "datatype": "FP32", "data": [0.7]}
    for request in (
        {"inputs": [picture([street64])], "parameters": {"min_score": 0.7}},
        {"inputs": [picture([street64])], "parameters": {"threshold": 0.7}},
        {"inputs": [score, picture([street64])]},
    ):
        scores = call("POST", INFER, request).json["outputs"][1]["data"]
        assert scores
        assert min(scores) >= 0.7


def test_binary_data_goes_in_and_comes_out(call: Call, street: bytes, street64: str) -> None:
    expected = call("POST", INFER, {"inputs": [picture([street64])]}).json["outputs"]
    wanted = [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "scores"}]
    wanted.append({"name": "boxes", "parameters": {"binary_data": True}})
    body, headers = binary(street, outputs=wanted)
    answer = call("POST", INFER, body, **headers)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    length = int(answer.headers["Inference-Header-Content-Length"])
    outputs = json.loads(answer.body[:length])["outputs"]
    assert [output["name"] for output in outputs] == ["labels", "scores", "boxes"]
    assert outputs[1]["data"] == expected[1]["data"]
    size = outputs[0]["parameters"]["binary_data_size"]
    labels, boxes = answer.body[length : length + size], answer.body[length + size :]
    assert len(boxes) == outputs[2]["parameters"]["binary_data_size"]
    assert np.frombuffer(boxes, "<f4").tolist() == pytest.approx(expected[0]["data"])
    assert b"".join(struct.pack("<I", len(s)) + s.encode() for s in expected[3]["data"]) == labels


def test_binary_data_is_sent_for_all_outputs_where_that_is_asked_for(call: Call, street: bytes) -> None:
    body, headers = binary(street, parameters={"binary_data_output": True, "min_score": 1.0})
    answer = call("POST", INFER, body, **headers)
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert len(answer.body) == length
    for output in json.loads(answer.body)["outputs"]:
        assert (output["shape"][0], output["parameters"]) == (0, {"binary_data_size": 0})


def test_a_body_of_nothing_but_the_picture_is_accepted(call: Call, street: bytes) -> None:
    answer = call("POST", INFER, street, **{"Inference-Header-Content-Length": "0"})
    assert (answer.status, answer.json["model_name"]) == (200, "nanodet-g")


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_requests_are_read(
    call: Call, street: bytes, name: str, compress: Callable[[bytes], bytes]
) -> None:
    body, headers = binary(street)
    assert call("POST", INFER, compress(body), **headers, **{"Content-Encoding": name}).status == 200
    half = compress(body)[:5000]
    assert call("POST", INFER, half, **headers, **{"Content-Encoding": name}).status == 400


def test_a_request_that_unpacks_to_very_much_is_refused(call: Call) -> None:
    bomb = gzip.compress(bytes(60_000_000), 6)
    answer = call("POST", INFER, bomb, **{"Content-Encoding": "gzip"})
    assert (answer.status, set(answer.json)) == (413, {"error"})


def test_pixels_are_detected_like_the_file_that_they_come_from(
    call: Call, shared: Any, street: bytes
) -> None:
    rows = np.zeros((60, 80, 3), np.uint8)
    rows[20:40, 20:60] = (200, 30, 30)
    for shape in ([60, 80, 3], [1, 60, 80, 3]):
        tensor = {"name": "image", "shape": shape, "datatype": "UINT8", "data": rows.reshape(-1).tolist()}
        assert call("POST", INFER, {"inputs": [tensor]}).status == 200
    encoded = np.frombuffer(street, np.uint8)
    tensor = {"name": "image", "shape": [len(encoded)], "datatype": "UINT8", "data": encoded.tolist()}
    found = call("POST", INFER, {"inputs": [tensor]})
    assert (found.status, found.json["outputs"][0]["shape"][0] > 0) == (200, True)


@pytest.mark.parametrize(
    "request_body",
    [
        {"inputs": "image"},
        {"inputs": [5]},
        {"inputs": [picture(["%%%"])]},
        {"inputs": [picture(["QUJD", "QUJD"], shape=[2])]},
        {"inputs": [picture([1], shape=["a"])]},
        {"inputs": [picture([1], datatype="FP64")]},
        {"inputs": [picture([300, 0, 0], shape=[1, 1, 3], datatype="UINT8")]},
        {"inputs": [picture([0, 0, 0], shape=[2, 1, 3], datatype="UINT8")]},
        {"inputs": [picture([0, 0], shape=[1, 1, 2], datatype="UINT8")]},
        {"inputs": [picture(["QUJD"]), picture(["QUJD"])]},
        {"inputs": [picture(["QUJD"])], "outputs": [{"name": "heat"}]},
        {"inputs": [picture(["QUJD"])], "outputs": "boxes"},
        {"inputs": [picture(["QUJD"])], "parameters": [1]},
        {"inputs": [picture(["QUJD"])], "parameters": {"min_score": "much"}},
        {"inputs": [picture(None, parameters={"binary_data_size": 5})]},
        {"inputs": [picture(None, parameters={"binary_data_size": -5})]},
    ],
)
def test_malformed_requests_are_refused(call: Call, request_body: dict[str, Any]) -> None:
    answer = call("POST", INFER, request_body)
    assert (answer.status, set(answer.json)) == (400, {"error"})


@pytest.mark.parametrize("length", ["x", "-1", "99999999", "1e3", "9" * 5000])
def test_a_wrong_length_of_the_json_is_refused(call: Call, street: bytes, length: str) -> None:
    body, _ = binary(street)
    answer = call("POST", INFER, body, **{"Inference-Header-Content-Length": length})
    assert (answer.status, set(answer.json)) == (400, {"error"})


def test_masks_are_sent_as_run_lengths(
    app: Flask,
    masked: str,
    small: bytes,
    ring: Any,
    while_working: Callable[[Callable[[], TestResponse]], TestResponse],
    connection: redis.Redis,
) -> None:
    for name in (masked, "auto"):
        headers = {"Inference-Header-Content-Length": "0"}
        path = f"/v2/models/{name}/infer"
        answer = while_working(partial(app.test_client().post, path, data=small, headers=headers))
        assert answer.json is not None
        assert answer.json["model_name"] == masked
        masks = answer.json["outputs"][4]
        assert (masks["name"], masks["shape"]) == ("masks", [2])
        dog = Mask.from_rle(json.loads(masks["data"][0]))
        whole = np.zeros((30, 40), np.bool_)
        whole[dog.y : dog.y + dog.height, dog.x : dog.x + dog.width] = dog.bitmap()
        assert (whole == ring).all()
