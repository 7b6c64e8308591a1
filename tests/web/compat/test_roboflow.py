"""Roboflow's server: the newer interface, the older one, and the questions that clients ask first."""

import base64
import io
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

Call = Callable[..., Any]
While = Callable[[Callable[[], TestResponse]], TestResponse]

DETECT = "/infer/object_detection"


def image(street64: str) -> dict[str, str]:
    return {"type": "base64", "value": street64}


def test_models_are_listed_and_added_under_the_name_that_clients_use(call: Call) -> None:
    known = {"model_id": "nanodet-g", "task_type": "object-detection"}
    assert call("GET", "/model/registry?api_key=None").json == {"models": [known]}
    for name in ("coco/3", "nanodet-g/1"):
        added = call("POST", "/model/add", {"model_id": name, "api_key": "x"}).json["models"]
        assert added == [known, {**known, "model_id": name}]
    assert call("POST", "/model/clear", {}).json == {"models": [known]}
    assert call("POST", "/model/remove", {"model_id": "nanodet-g"}).json == {"models": [known]}
    refused = call("POST", "/model/add", {"model_id": "my-project/1"})
    assert (refused.status, set(refused.json)) == (404, {"message"})
    assert set(call("GET", "/info").json) == {"name", "version", "uuid"}


def test_objects_have_centre_and_size(call: Call, street64: str) -> None:
    answer = call("POST", DETECT, {"model_id": "nanodet-g", "image": image(street64), "api_key": None})
    assert answer.status == 200
    found = answer.json
    assert set(found) == {"inference_id", "time", "image", "predictions"}
    assert found["image"] == {"width": 1200, "height": 726}
    assert 0 < found["time"] < 60
    for one in found["predictions"]:
        names = {"x", "y", "width", "height", "confidence", "class", "class_id", "detection_id"}
        assert set(one) == names
        assert one["x"] - one["width"] / 2 + 0.001 >= 0
        assert one["x"] + one["width"] / 2 <= 1200.001
        assert one["y"] + one["height"] / 2 <= 726.001
        assert one["confidence"] >= 0.4
    scores = [one["confidence"] for one in found["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert len({one["detection_id"] for one in found["predictions"]}) == len(scores)


def test_a_list_of_pictures_is_answered_by_a_list(call: Call, street64: str) -> None:
    for count in (1, 3):
        asked = {"model_id": "nanodet-g", "image": [image(street64)] * count}
        answers = call("POST", DETECT, asked).json
        assert [len(one["predictions"]) > 0 for one in answers] == [True] * count
    assert call("POST", DETECT, {"model_id": "nanodet-g", "image": []}).status == 400


def test_results_are_filtered_by_class_score_and_number(call: Call, street64: str) -> None:
    def ask(**options: Any) -> list[dict[str, Any]]:
        asked = {"model_id": "coco/3", "image": image(street64), **options}
        predictions: list[dict[str, Any]] = call("POST", DETECT, asked).json["predictions"]
        return predictions

    assert {one["class"] for one in ask(class_filter=["car", "unicorn"])} == {"car"}
    assert len(ask(max_detections=2)) == 2
    assert min(one["confidence"] for one in ask(confidence=0.7)) >= 0.7
    assert [one["class"] for one in ask(confidence="best")] == [one["class"] for one in ask()]
    assert ask(confidence=1.0) == []


def test_a_model_without_masks_gives_the_boxes_corners_as_outlines(call: Call, street64: str) -> None:
    asked = {"model_id": "nanodet-g", "image": image(street64)}
    (one, *_) = call("POST", "/infer/instance_segmentation", asked).json["predictions"]
    assert len(one["points"]) == 4
    assert min(point["x"] for point in one["points"]) == pytest.approx(one["x"] - one["width"] / 2, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": {"type": "numpy", "value": "gASVAAAA"}},
        {"image": {"type": "url", "value": "http://127.0.0.1/x.jpg"}},
        {"image": {"type": "base64", "value": "%"}},
        {"image": {"value": "x"}},
        {"image": 5},
        {"confidence": "much"},
        {"confidence": float("nan")},
        {"max_detections": "many"},
        {"class_filter": "car"},
    ],
)
def test_malformed_requests_are_refused(call: Call, street64: str, wrong: dict[str, Any]) -> None:
    answer = call("POST", DETECT, {"model_id": "nanodet-g", "image": image(street64), **wrong})
    assert (answer.status, set(answer.json)) == (400, {"message"})


def test_other_tasks_are_refused(call: Call) -> None:
    answer = call("POST", "/infer/classification", {})
    assert (answer.status, set(answer.json)) == (400, {"message"})


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "text/plain"])
def test_the_older_interface_takes_a_body_in_base64(call: Call, street64: str, kind: str) -> None:
    path = "/nanodet-g/1?api_key=x&confidence=70"
    answer = call("POST", path, street64.encode(), **{"Content-Type": kind})
    assert answer.status == 200
    assert min(one["confidence"] for one in answer.json["predictions"]) >= 0.7


def test_the_older_interface_takes_a_file_and_draws(call: Call, street: bytes) -> None:
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
    body, kind = head + street + b"\r\n--XX--\r\n", {"Content-Type": "multipart/form-data; boundary=XX"}
    assert call("POST", "/coco/9?max_detections=1", body, **kind).json["predictions"][0]["class"] == "car"
    answer = call("POST", "/coco/9?format=image", body, **kind)
    assert answer.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.body)) as drawn:
        assert drawn.size == (1200, 726)
    both = call("POST", "/coco/9?format=image_and_json", street, **{"Content-Type": "image/jpeg"}).json
    assert base64.b64decode(both["visualization"]).startswith(b"\xff\xd8")


def test_the_older_interface_tells_of_errors_in_its_form(call: Call) -> None:
    assert call("POST", "/my-project/3", b"aGk=").status == 404
    for body in (b"", b"aGk=", b"%"):
        answer = call("POST", "/coco/3", body)
        assert (answer.status, set(answer.json)) == (400, {"message"})
    answer = call("POST", "/coco/3?image=http://127.0.0.1/x.jpg", b"")
    assert (answer.status, set(answer.json)) == (400, {"message"})


@pytest.mark.parametrize("path", ["/api/nothing", "/detections/x", "/shared/x"])
def test_addresses_of_ours_are_not_taken_for_projects(call: Call, path: str) -> None:
    answer = call("POST", path, b"", Accept="application/json")
    assert answer.status in {404, 405}
    assert set(answer.json) == {"error"}


def test_masks_are_outlines_or_run_lengths(
    app: Flask, masked: str, small: bytes, while_working: While
) -> None:
    def ask(path: str, **options: Any) -> list[dict[str, Any]]:
        body = {"model_id": masked, "image": image(base64.b64encode(small).decode()), **options}
        answer = while_working(partial(app.test_client().post, path, json=body))
        assert answer.json is not None
        predictions: list[dict[str, Any]] = answer.json["predictions"]
        return predictions

    dog, cat = ask("/infer/instance_segmentation")
    assert {"x": 2, "y": 3} in dog["points"]
    assert {"x": 28.0, "y": 25.0} in [
        {"x": p["x"] - 1, "y": p["y"]} for p in cat["points"]
    ]  # its second part too
    rle = ask("/infer/instance_segmentation", response_mask_format="rle")[0]
    assert (rle["mask_format"], rle["rle"]["size"]) == ("rle", [30, 40])
    assert "points" not in ask(DETECT)[0]
    legacy = while_working(partial(app.test_client().post, f"/{masked}/1", data=small))
    assert legacy.json is not None
    assert "points" in legacy.json["predictions"][0]
    added = app.test_client().get("/model/registry").json
    assert added is not None
    assert added["models"][0]["task_type"] == "instance-segmentation"


@pytest.mark.parametrize("path", ["/me/workflows/mine", "/infer/workflows/me/mine", "/workflows/run"])
def test_workflows_are_refused_in_the_form_that_the_client_reads(call: Call, path: str) -> None:
    answer = call("POST", path, {"api_key": "x", "inputs": {}})
    assert (answer.status, set(answer.json)) == (501, {"message"})
    assert "workflow" in answer.json["message"]


def test_the_time_is_each_detections_own_and_not_what_was_spent_waiting(call: Call, street64: str) -> None:
    began = time.perf_counter()
    answers = call("POST", DETECT, {"model_id": "nanodet-g", "image": [image(street64)] * 4}).json
    assert min(one["time"] for one in answers) > 0
    # One worker takes one after another and decodes the next meanwhile. Were waiting for the others counted,
    # four would sum up to two and a half times what all took.
    assert sum(one["time"] for one in answers) < 2 * (time.perf_counter() - began)
