"""DeepStack and CodeProject.AI over a connection: exact forms, and the many ways in which clients send."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
import redis

from flask_detector.settings import Settings
from flask_detector.web import create_app

Call = Callable[..., Any]

DETECTION = "/v1/vision/detection"


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return a multipart body of headers and contents, and its Content-Type."""
    body = b"".join(b"--XX\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return body + b"--XX--\r\n", {"Content-Type": "multipart/form-data; boundary=XX"}


def file(data: bytes, name: str = "image", filename: str = "image.jpg") -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', data


def text(name: str, value: str) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value.encode()


def test_objects_are_sent_as_both_programs_do_the_best_first(call: Call, street: bytes) -> None:
    body, headers = form(file(street), text("min_confidence", "0.3"))
    answer = call("POST", DETECTION, body, **headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert "Transfer-Encoding" not in answer.headers
    found = answer.json
    assert (found["success"], found["duration"], found["code"]) == (True, 0, 200)
    assert (found["command"], found["moduleName"]) == ("detect", "flask-detector")
    assert found["count"] == len(found["predictions"])
    assert found["processMs"] >= found["inferenceMs"] > 0
    assert found["message"] == f"Found {', '.join(one['label'] for one in found['predictions'][:3])}..."
    assert found["timestampUTC"].endswith("GMT")
    scores = [one["confidence"] for one in found["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3
    for one in found["predictions"]:
        assert set(one) == {"label", "confidence", "x_min", "y_min", "x_max", "y_max"}
        sides = [one["x_min"], one["y_min"], one["x_max"], one["y_max"]]
        assert all(isinstance(side, int) for side in sides)
        assert 0 <= sides[0] <= sides[2] <= 1200
        assert 0 <= sides[1] <= sides[3] <= 726
    assert {"car", "person"} <= {one["label"] for one in found["predictions"]}


def test_the_usual_least_confidence_is_0_4(call: Call, street: bytes) -> None:
    body, headers = form(file(street))
    usual = call("POST", DETECTION, body, **headers).json["predictions"]
    body, headers = form(file(street), text("min_confidence", "0.40"))
    assert call("POST", DETECTION, body, **headers).json["predictions"] == usual
    assert min(one["confidence"] for one in usual) >= 0.4


@pytest.mark.parametrize("least", ["1", "0.999"])
def test_where_nothing_is_found_the_list_is_empty(call: Call, street: bytes, least: str) -> None:
    body, headers = form(file(street), text("min_confidence", least))
    found = call("POST", DETECTION, body, **headers).json
    assert (found["success"], found["predictions"], found["count"]) == (True, [], 0)
    assert found["message"] == "No objects found"


@pytest.mark.parametrize("least", ["0", "-1", "", " 0.05 "])
def test_an_odd_least_confidence_that_deepstack_takes_is_taken(call: Call, jpeg: bytes, least: str) -> None:
    body, headers = form(file(jpeg), text("min_confidence", least))
    assert call("POST", DETECTION, body, **headers).json["success"] is True


@pytest.mark.parametrize("least", ["high", "nan", "inf", "0,5", "[]"])
def test_a_least_confidence_that_is_no_number_is_refused(call: Call, jpeg: bytes, least: str) -> None:
    body, headers = form(file(jpeg), text("min_confidence", least))
    answer = call("POST", DETECTION, body, **headers)
    assert answer.status == 400
    assert answer.json["success"] is False
    assert answer.json["error"] == "Invalid value for min_confidence"
    assert answer.json["duration"] == 0


def test_a_least_confidence_over_1_is_refused(call: Call, jpeg: bytes) -> None:
    body, headers = form(file(jpeg), text("min_confidence", "1.01"))
    answer = call("POST", DETECTION, body, **headers)
    assert (answer.status, answer.json["error"]) == (400, "min_confidence cannot be greater than 1")


def test_errors_have_the_words_that_clients_know(call: Call) -> None:
    body, headers = form(text("min_confidence", "0.5"))
    answer = call("POST", DETECTION, body, **headers)
    assert (answer.status, answer.json["error"]) == (400, "No valid image file found")
    body, headers = form(file(b"GIF8, but not really"))
    answer = call("POST", DETECTION, body, **headers)
    assert (answer.status, answer.json["error"]) == (400, "invalid image file")
    assert answer.json["success"] is False
    assert answer.headers["Content-Length"] == str(len(answer.body))


def ways(street: bytes) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Yield the bodies in which a picture comes from the programs that are out there."""
    base64_text = base64.b64encode(street).decode()
    fields = [text("api_key", ""), text("min_confidence", "0.4"), text("admin_key", "")]
    yield form(file(street), *fields)
    yield form(*fields, file(street))
    yield form(*fields, file(street, filename=""))
    yield form(*fields, file(street, filename="snapshots\\câmera 1.jpg"))
    yield form(file(street, name="file"))
    yield form(file(street, name="imagefile"), *fields)
    yield form((f"{file(street)[0]}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(street)}", street))
    yield form(
        (f"{file(street)[0]}\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary", street)
    )
    yield form((f"content-disposition: form-data; name=image; filename=x.jpg{chr(0)[:0]}", street), *fields)
    yield form(('Content-Disposition: form-data; name="image"', street))
    yield form(text("image", base64_text))
    yield form(text("image", f"data:image/jpeg;base64,{base64_text}"))
    yield (
        urlencode({"image": base64_text, "min_confidence": "0.4"}).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    yield (
        json.dumps({"image": base64_text, "min_confidence": 0.4, "api_key": None}).encode(),
        {"Content-Type": "application/json"},
    )
    yield street, {"Content-Type": "image/jpeg"}
    yield street, {"Content-Type": "application/octet-stream"}
    yield street, {"Content-Type": "application/x-www-form-urlencoded"}
    yield street, {}


def test_a_picture_is_found_in_whatever_way_it_comes(call: Call, street: bytes) -> None:
    answers = [call("POST", DETECTION, body, **headers) for body, headers in ways(street)]
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert len({json.dumps(answer.json["predictions"]) for answer in answers}) == 1


def test_parameters_may_stand_in_the_address_and_chunked_bodies_are_read(call: Call, street: bytes) -> None:
    body, headers = form(file(street))
    pieces = (body[i : i + 10_000] for i in range(0, len(body), 10_000))
    answer = call("POST", f"{DETECTION}?min_confidence=0.7", pieces, **headers)
    assert answer.status == 200
    assert min(one["confidence"] for one in answer.json["predictions"]) >= 0.7


def test_half_a_form_is_refused(call: Call, street: bytes) -> None:
    body, headers = form(file(street))
    answer = call("POST", DETECTION, body[: len(body) // 2], **headers)
    assert (answer.status, answer.json["success"]) == (400, False)


def test_a_form_of_very_many_parts_is_refused(call: Call) -> None:
    body, headers = form(*[text(f"field{i}", "x") for i in range(200)])
    answer = call("POST", DETECTION, body, **headers)
    assert (answer.status, answer.json["success"]) == (413, False)


def test_models_are_listed_and_asked_for_by_name(call: Call, street: bytes) -> None:
    listed = call("POST", "/v1/vision/custom/list").json
    assert listed["success"] is True
    ours = ["ipcam-general", "ipcam-combined", "ipcam-animal", "ipcam-dark"]
    assert listed["models"] == ["nanodet-g", *ours]
    body, headers = form(file(street))
    for name in ("nanodet-g", "general", "nanodet-g/"):
        found = call("POST", f"/v1/vision/custom/{name}", body, **headers).json
        assert (found["success"], found["command"]) == (True, "custom")
    answer = call("POST", "/v1/vision/custom/no-such-model", body, **headers)
    assert (answer.status, answer.json["success"]) == (404, False)


def test_the_models_that_come_with_codeproject_ai_are_the_default_one(call: Call, street: bytes) -> None:
    body, headers = form(file(street))
    usual = call("POST", DETECTION, body, **headers).json["predictions"]
    for name in ("ipcam-general", "ipcam-combined", "ipcam-animal", "ipcam-dark", "ipcam-of-next-year"):
        answer = call("POST", f"/v1/vision/custom/{name}", body, **headers)
        assert (answer.status, answer.json["predictions"]) == (200, usual)


def test_the_settings_say_which_model_a_name_stands_for(
    settings: Settings, connection: redis.Redis, jpeg: bytes
) -> None:
    names = "license-plate=nanodet-g, ipcam-*=no-such-model"
    update = {"compat_models": names, "compat_timeout": 0.05}
    client = create_app(settings.model_copy(update=update), connection=connection).test_client()
    listed = client.post("/v1/vision/custom/list").json
    assert listed is not None
    assert "license-plate" in listed["models"]
    taken = client.post("/v1/vision/custom/license-plate", data=jpeg)
    assert taken.status_code == 500  # it is taken, and nobody works
    refused = client.post("/v1/vision/custom/ipcam-dark", data=jpeg)
    assert refused.status_code == 404
    assert "no-such-model" in refused.text


def test_blue_iris_and_the_dashboard_learn_that_the_server_is_there(call: Call) -> None:
    for method, start in product(("GET", "POST"), ("/v1/status", "/v1/server/status")):
        for path in ("ping", "ping/", "version"):
            answer = call(method, f"{start}/{path}")
            assert (answer.status, answer.json["success"], answer.json["code"]) == (200, True, 200)
            assert answer.json["hostname"]
        answer = call(method, f"{start}/updateavailable").json
        assert (answer["success"], answer["updateAvailable"]) == (True, False)


@pytest.mark.parametrize(
    ("path", "status"), [("face/recognize", 403), ("scene", 403), ("enhance", 403), ("x", 404)]
)
def test_what_is_not_done_here_is_told_as_deepstack_does(call: Call, path: str, status: int) -> None:
    answer = call("POST", f"/v1/vision/{path}", b"")
    assert (answer.status, answer.json["success"]) == (status, False)


def test_a_wrong_method_is_told_in_the_same_form(call: Call) -> None:
    answer = call("GET", DETECTION)
    assert (answer.status, answer.json["success"]) == (405, False)


def test_64_cameras_at_once_are_all_answered(call: Call, street: bytes) -> None:
    body, headers = form(file(street))
    with ThreadPoolExecutor(64) as cameras:
        answers = list(cameras.map(lambda _: call("POST", DETECTION, body, **headers), range(64)))
    assert [answer.status for answer in answers] == [200] * 64
    assert len({json.dumps(answer.json["predictions"]) for answer in answers}) == 1
