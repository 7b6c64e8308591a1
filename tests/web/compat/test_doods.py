"""DOODS over a connection: thresholds by label, regions, and pictures that come back drawn."""

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

Call = Callable[..., Any]


def ask(call: Call, picture: str, **rest: Any) -> Any:
    return call("POST", "/detect", {"detector_name": "default", "data": picture, **rest})


def test_the_default_detector_and_each_model_are_listed(call: Call) -> None:
    answer = call("GET", "/detectors")
    assert answer.status == 200
    first, second = answer.json["detectors"]
    assert (first["name"], first["model"], second["name"]) == ("default", "nanodet-g", "nanodet-g")
    assert (first["width"], first["height"], len(first["labels"])) == (0, 0, 80)
    assert set(first) == {"name", "type", "model", "labels", "width", "height"}


def test_objects_are_sent_in_shares_and_percent(call: Call, street64: str) -> None:
    answer = ask(call, street64, id="yard", detect={"*": 40})
    assert answer.status == 200
    assert answer.json["id"] == "yard"
    assert "error" not in answer.json
    found = answer.json["detections"]
    assert [one["confidence"] for one in found] == sorted((one["confidence"] for one in found), reverse=True)
    for one in found:
        assert set(one) == {"top", "left", "bottom", "right", "label", "confidence"}
        assert 0 <= one["top"] < one["bottom"] <= 1
        assert 0 <= one["left"] < one["right"] <= 1
        assert 40 <= one["confidence"] <= 100
    assert {"car", "person"} <= {one["label"] for one in found}


def test_a_labels_own_threshold_comes_before_the_one_for_all(call: Call, street64: str) -> None:
    labels = {one["label"] for one in ask(call, street64, detect={"*": 40, "car": 101}).json["detections"]}
    assert "car" not in labels
    assert "person" in labels
    only = ask(call, street64, detect={"car": 40}).json["detections"]
    assert {one["label"] for one in only} == {"car"}


def test_what_is_not_asked_for_is_not_sent(call: Call, street64: str) -> None:
    answer = ask(call, street64, detect={}, id="")
    assert (answer.status, answer.json["detections"], answer.json["id"]) == (200, [], "")
    assert call("POST", "/detect", {"data": street64}).json["detections"] == []


def test_regions_count_what_they_cover_or_touch(call: Call, street64: str) -> None:
    (car, *_) = ask(call, street64, detect={"car": 40}).json["detections"]
    middle = (car["left"] + car["right"]) / 2
    half = {
        "id": "half",
        "top": 0,
        "left": 0,
        "bottom": 1,
        "right": middle,
        "detect": {"car": car["confidence"]},
    }
    whole = {**half, "id": "whole", "right": 1, "covers": True}

    def ids(*regions: dict[str, Any]) -> list[str]:
        return [one.get("region_id") for one in ask(call, street64, regions=regions).json["detections"]]

    assert ids({**half, "covers": False}) == ["half"]
    assert ids(half) == ["half"]
    assert ids({**half, "covers": True}) == []
    assert ids({**half, "covers": True}, whole) == ["whole"]
    assert ids(half, whole) == ["half"]  # the first that matches
    both = ask(call, street64, detect={"car": car["confidence"]}, regions=[half]).json["detections"]
    assert "region_id" not in both[0]  # the whole picture's thresholds come first
    assert "region_id" not in ask(call, street64, regions=[{**half, "id": None}]).json["detections"][0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"detect": {"*": "half"}},
        {"detect": {"*": float("nan")}},
        {"detect": [50]},
        {"regions": {"top": 0}},
        {"regions": [1]},
        {"regions": [{"top": "a", "detect": {"*": 1}}]},
        {"detector_name": "tensorflow"},
        {"preprocess": ["grayscale"]},
        {"image": "tiff"},
        {"data": "rtsp://camera/stream"},
        {"data": "%%%"},
        {"data": 5},
    ],
)
def test_what_can_not_be_done_is_an_error(call: Call, street64: str, wrong: dict[str, Any]) -> None:
    answer = call("POST", "/detect", {"data": street64, "detect": {"*": 50}, **wrong})
    assert answer.status == 400
    assert set(answer.json) == {"error"}


def test_an_unknown_detector_is_told_in_the_words_of_doods(call: Call, street64: str) -> None:
    answer = call("POST", "/detect", {"data": street64, "detector_name": "yolo"})
    assert answer.json["error"].startswith("unknown detector name: yolo")


def test_the_drawn_picture_comes_back_where_it_is_asked_for(call: Call, street64: str) -> None:
    plain = Image.open(io.BytesIO(base64.b64decode(street64))).convert("RGB")
    answer = ask(call, street64, detect={"car": 60}, image="png").json
    with Image.open(io.BytesIO(base64.b64decode(answer["image"]))) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (1200, 726))
        car = answer["detections"][0]
        corner = round(car["left"] * 1200), round(car["top"] * 726)
        assert drawn.convert("RGB").getpixel(corner) != plain.getpixel(corner)
    direct = call("POST", "/image", {"data": street64, "detect": {"*": 50}})
    assert (direct.status, direct.headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(direct.body)) as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (1200, 726))


def test_a_stream_is_refused(call: Call) -> None:
    answer = call("GET", "/stream?detect_request=%7B%7D")
    assert (answer.status, set(answer.json)) == (400, {"error"})
