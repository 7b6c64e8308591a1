import io
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from flask_detector.jobs.queue import new_id
from flask_detector.settings import Settings
from flask_detector.structures.detections import Detections
from flask_detector.web import create_app


def test_a_picture_as_the_body_is_detected(
    client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    sent = client.post(
        "/api/v1/detections?min_score=0.3",
        data=(pictures / "apartment.jpg").read_bytes(),
        content_type="application/octet-stream",
    )
    assert sent.status_code == 202
    assert sent.json is not None
    assert sent.json["status"] == "queued"
    work_off()
    done = client.get(sent.headers["Location"]).json
    assert done is not None
    assert done["status"] == "done"
    found = Detections.from_json(done["result"])
    assert found.counts()["chair"] >= 1
    assert found.scores.min() >= 0.3


def test_a_picture_in_a_form_is_detected(
    client: FlaskClient, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    sent = client.post(
        "/api/v1/detections", data={"picture": (io.BytesIO(jpeg), "cat.jpg"), "model": "nanodet-g"}
    )
    assert sent.status_code == 202
    work_off()
    done = client.get(sent.headers["Location"]).json
    assert done is not None
    assert (done["filename"], done["model"], done["width"]) == ("cat.jpg", "nanodet-g", 64)


def test_a_picture_whose_type_the_client_mistook_for_a_form_is_detected(
    client: FlaskClient, jpeg: bytes
) -> None:
    sent = client.post("/api/v1/detections", data=jpeg, content_type="application/x-www-form-urlencoded")
    assert sent.status_code == 202


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        (b"%PDF-1.7\n%\xe2\xe3 name=value&", "not_a_picture", "JPEG"),
        (b"Dear reader,", "not_a_picture", "JPEG"),
        (b' {"image": "aGVsbG8="}', "bad_request", "--json"),
        (b"ulr=http%3A//a.example/b.jpg", "bad_parameter", "spelling"),
        (b"", "no_picture", "Choose"),
    ],
)
def test_a_body_that_curl_calls_a_form_is_refused_for_what_it_is(
    client: FlaskClient, body: bytes, code: str, word: str
) -> None:
    answer = client.post("/api/v1/detections", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.json is not None
    assert answer.json["error"]["code"] == code
    assert word in answer.json["error"]["hint"]


def test_a_picture_over_the_limit_that_curl_calls_a_form_is_refused_as_a_picture(
    client: FlaskClient,
) -> None:
    body = b"\xff\xd8\xff" + bytes(25_000_000)
    answer = client.post("/api/v1/detections", data=body, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (413, "picture_too_large")


def test_a_form_without_a_picture_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/detections", data={"model": "auto"})
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["code"] == "no_picture"


def test_deleting_is_final(client: FlaskClient, jpeg: bytes) -> None:
    sent = client.post("/api/v1/detections", data=jpeg)
    address = sent.headers["Location"]
    assert client.delete(address).status_code == 204
    gone = client.get(address)
    assert (gone.status_code, gone.json and gone.json["error"]["code"]) == (410, "detection_expired")
    assert client.delete(address).status_code == 410


def test_the_models_are_listed_with_their_state(client: FlaskClient) -> None:
    answer = client.get("/api/v1/models").json
    assert answer is not None
    states = {model["name"]: (model["state"], model["default"]) for model in answer["models"]}
    assert {model["seconds"] for model in answer["models"]} == {None}
    assert states["nanodet-g"] == ("embedded", True)
    assert states["mask-rcnn-r50-fpn"] == ("absent", False)


def test_an_unknown_id_is_not_found(client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/detections/{new_id()}")
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (404, "unknown_detection")


def test_what_a_key_sent_is_seen_with_that_key_alone(client: FlaskClient, app: Flask, jpeg: bytes) -> None:
    keys = app.extensions["flask-detector"].keys
    mine, other = (keys.create(name)[1] for name in ("mine", "other"))
    sent = client.post("/api/v1/detections", data=jpeg, headers={"Authorization": f"Bearer {mine}"})
    address = sent.headers["Location"]
    assert client.get(address, headers={"X-API-Key": mine}).status_code == 200
    for headers in ({}, {"X-API-Key": other}):
        answer = client.get(address, headers=headers)
        assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (
            404,
            "unknown_detection",
        )


def test_a_key_that_is_not_known_is_refused_also_where_none_is_needed(client: FlaskClient) -> None:
    answer = client.get("/api/v1/models", headers={"Authorization": "Bearer fd_nothing"})
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (401, "unknown_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_where_keys_are_required_the_api_answers_to_nobody_else(
    settings: Settings, connection: redis.Redis
) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True}), connection=connection)
    client = app.test_client()
    answer = client.get("/api/v1/models")
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (401, "key_missing")
    _, text = app.extensions["flask-detector"].keys.create("mine")
    assert client.get("/api/v1/models", headers={"X-API-Key": text}).status_code == 200
    assert client.get("/").status_code == 200  # pages keep working by their own session
