import io
from collections.abc import Callable
from pathlib import Path

from flask.testing import FlaskClient

from flask_detector.detections import Detections
from flask_detector.jobs import new_id


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
    assert states["nanodet-g"] == ("embedded", True)
    assert states["mask-rcnn-r50-fpn"] == ("absent", False)


def test_an_unknown_id_is_not_found(client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/detections/{new_id()}")
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (404, "unknown_detection")
