"""Label Studio: what becomes of objects by a project's configuration, and where pictures come from."""

import base64
import json
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest
import redis
from flask import Flask
from pydantic import SecretStr
from werkzeug.test import TestResponse

from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.compat.label_studio.label_config import controls_of

Call = Callable[..., Any]
While = Callable[[Callable[[], TestResponse]], TestResponse]

CONFIG = """<View>
  <Image name="photo" value="$picture"/>
  <RectangleLabels name="box" toName="photo">
    <Label value="Car"/><Label value="Human" predicted_values="person, rider"/>
  </RectangleLabels>
</View>"""


def config(*controls: str) -> str:
    labels = '<Label value="Dog"/><Label value="CAT"/>'
    tags = "".join(
        f'<{tag} name="{tag}" toName="img"/>'
        if tag in {"Brush", "Polygon", "Rectangle"}
        else f'<{tag} name="{tag}" toName="img">{labels}</{tag}>'
        for tag in controls
    )
    return f'<View><Image name="img" value="$image"/>{tags}</View>'


def task(picture: bytes, key: str = "image", id: int = 1) -> dict[str, Any]:
    return {"id": id, "data": {key: f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"}}


def test_the_backend_tells_that_it_is_up(call: Call) -> None:
    assert call("GET", "/health").json == {"status": "UP", "model_class": "FlaskDetector"}
    assert call("GET", "/versions").json == {"versions": ["nanodet-g"]}


def test_a_project_is_set_up(call: Call) -> None:
    body = {"project": "7.1700000000", "schema": CONFIG, "hostname": "http://ls:8080", "access_token": "x"}
    assert call("POST", "/setup", body).json == {"model_version": "nanodet-g"}
    assert call("POST", "/setup", {**body, "schema": "<View>"}).status == 400


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (CONFIG.replace("Car", "Zebu").replace("person, rider", "farmer"), "none of the project's labels"),
        (CONFIG.replace("RectangleLabels", "BrushLabels"), "no masks, which brushes need"),
        ('<View><Text name="t" value="$t"/><Choices name="c" toName="t"/></View>', "nothing to put objects"),
    ],
)
def test_a_project_that_the_model_can_do_nothing_for_is_told_why(
    call: Call, schema: str, reason: str
) -> None:
    answer = call("POST", "/setup", {"project": "7.1", "schema": schema})
    assert answer.status == 400
    assert reason in answer.json["error"]
    assert reason in answer.reason  # the one that Label Studio shows


def test_the_status_line_stays_one_line_of_ascii(call: Call) -> None:
    schema = CONFIG.replace("Car", "猫&#10;Set-Cookie: a=b").replace("person, rider", "é")
    answer = call("POST", "/setup", {"project": "7.1", "schema": schema})
    assert answer.status == 400
    assert answer.reason.isascii()
    assert "Set-Cookie" not in answer.headers
    assert "猫" in answer.json["error"]


def test_a_project_without_a_configuration_yet_is_set_up(call: Call) -> None:
    assert call("POST", "/setup", {"project": "7.1", "schema": "<View></View>"}).status == 200


def test_a_project_of_brushes_is_set_up_where_the_model_has_masks(app: Flask, masked: str) -> None:
    answer = app.test_client().post("/setup", json={"schema": config("BrushLabels")})
    assert answer.json == {"model_version": masked}


def test_a_project_is_told_of_the_installed_model_that_could_serve_it(
    settings: Settings, connection: redis.Redis, masked: str
) -> None:
    app = create_app(settings.model_copy(update={"model": "nanodet-g"}), connection=connection)
    answer = app.test_client().post("/setup", json={"schema": config("BrushLabels")})
    assert answer.status_code == 400
    assert f"DETECTOR_MODEL={masked}" in answer.text


def test_webhooks_are_taken_note_of(call: Call) -> None:
    body = {"action": "ANNOTATION_CREATED", "project": {"id": 1, "label_config": CONFIG}}
    assert call("POST", "/webhook", body).status == 201
    assert call("POST", "/webhook", {"action": "TASKS_CREATED"}).status == 200


def test_objects_become_rectangles_in_percent_under_the_projects_own_labels(
    call: Call, street: bytes
) -> None:
    asked = {"tasks": [task(street, "picture")], "label_config": CONFIG, "project": "7.17", "params": {}}
    answer = call("POST", "/predict", asked)
    assert answer.status == 200
    (prediction,) = answer.json["results"]
    assert prediction["model_version"] == "nanodet-g"
    assert 0 < prediction["score"] <= 1
    assert {one["value"]["rectanglelabels"][0] for one in prediction["result"]} == {"Car", "Human"}
    for one in prediction["result"]:
        assert (one["from_name"], one["to_name"], one["type"]) == ("box", "photo", "rectanglelabels")
        assert (one["original_width"], one["original_height"]) == (1200, 726)
        value = one["value"]
        assert 0 <= value["x"] < value["x"] + value["width"] <= 100.00001
        assert 0 <= value["y"] < value["y"] + value["height"] <= 100.00001
    assert len({one["id"] for one in prediction["result"]}) == len(prediction["result"])


def test_a_project_may_ask_for_a_least_score(call: Call, street: bytes) -> None:
    strict = CONFIG.replace('name="box"', 'name="box" model_score_threshold="0.7"')
    (usual,) = call("POST", "/predict", {"tasks": [task(street, "picture")], "label_config": CONFIG}).json[
        "results"
    ]
    (some,) = call("POST", "/predict", {"tasks": [task(street, "picture")], "label_config": strict}).json[
        "results"
    ]
    assert 0 < len(some["result"]) < len(usual["result"])
    assert min(one["score"] for one in some["result"]) >= 0.7


def test_of_several_tasks_the_broken_one_does_not_spoil_the_others(call: Call, street: bytes) -> None:
    tasks = [task(street, "picture", 1), task(b"no picture", "picture", 2), {"id": 3, "data": {}}]
    good, broken, missing = call("POST", "/predict", {"tasks": tasks, "label_config": CONFIG}).json["results"]
    assert good["result"]
    assert (broken["result"], missing["result"]) == ([], [])
    assert "not a picture" in broken["error"]
    assert "no picture" in missing["error"]
    assert call("POST", "/predict", {"tasks": [], "label_config": CONFIG}).json == {"results": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": 5},
        {"tasks": [5]},
        {"tasks": [{"id": 1}]},
        {"label_config": None},
        {"label_config": "<View><Choices name='c' toName='t'/></View>"},
        {"label_config": "<View"},
        {"label_config": "<!DOCTYPE x [<!ENTITY a 'b'>]><View>&a;</View>"},
        {"tasks": [{"id": 1, "data": {"picture": "/data/upload/1/x.jpg"}}]},
        {"tasks": [{"id": 1, "data": {"picture": "s3://bucket/x.jpg"}}]},
        {"tasks": [{"id": 1, "data": {"picture": "http://127.0.0.1:1/x.jpg"}}]},
        {"tasks": [{"id": 1, "data": {"picture": "file:///etc/passwd"}}]},
    ],
)
def test_what_can_not_be_done_is_an_error(call: Call, street: bytes, wrong: dict[str, Any]) -> None:
    answer = call("POST", "/predict", {"tasks": [task(street, "picture")], "label_config": CONFIG, **wrong})
    assert (answer.status, set(answer.json)) == (400, {"error"})


@pytest.fixture
def predict(
    app: Flask, masked: str, small: bytes, while_working: While
) -> Callable[[str], list[dict[str, Any]]]:
    """A function that returns the regions of two objects with masks under a configuration."""

    def predict(label_config: str) -> list[dict[str, Any]]:
        body = {"tasks": [task(small)], "label_config": label_config}
        answer = while_working(partial(app.test_client().post, "/predict", json=body))
        assert answer.json is not None
        regions: list[dict[str, Any]] = answer.json["results"][0]["result"]
        return regions

    return predict


def test_masks_become_polygons_one_for_each_part(predict: Callable[[str], list[dict[str, Any]]]) -> None:
    dog, *cat = predict(config("PolygonLabels", "RectangleLabels"))
    assert (dog["type"], dog["value"]["polygonlabels"], dog["value"]["closed"]) == (
        "polygonlabels",
        ["Dog"],
        True,
    )
    assert [2 / 40 * 100, 3 / 30 * 100] in dog["value"]["points"]
    assert [one["value"]["polygonlabels"] for one in cat] == [["CAT"], ["CAT"]]


def test_masks_become_brushes(predict: Callable[[str], list[dict[str, Any]]], ring: Any) -> None:
    dog, cat = predict(config("RectangleLabels", "BrushLabels"))
    assert (dog["type"], dog["from_name"], dog["value"]["format"]) == ("brushlabels", "BrushLabels", "rle")
    assert (unpacked(dog["value"]["rle"]).reshape(30, 40, 4) == ring[..., None] * 255).all()
    assert unpacked(cat["value"]["rle"]).sum() == 40 * 4 * 255


def test_masks_become_rectangles_where_there_is_nothing_else(
    predict: Callable[[str], list[dict[str, Any]]],
) -> None:
    dog, _ = predict(config("RectangleLabels"))
    assert dog["value"]["x"] == 2 / 40 * 100
    assert dog["value"]["width"] == 10 / 40 * 100


def test_labels_in_a_tag_of_their_own_make_two_regions_of_one_id(
    predict: Callable[[str], list[dict[str, Any]]],
) -> None:
    shape, label = predict(config("Labels", "Rectangle"))[:2]
    assert (shape["id"], shape["type"], shape["from_name"]) == (label["id"], "rectangle", "Rectangle")
    assert (label["type"], label["from_name"], label["value"]["labels"]) == ("labels", "Labels", ["Dog"])


def unpacked(data: list[int]) -> "np.ndarray[Any, Any]":
    """Return the values of a brush, read bit by bit as rle-pack's description has it."""
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        is_run, length = read(1), read(sizes[read(2)]) + 1
        values += [read(word)] * length if is_run else [read(word) for _ in range(length)]
    return np.array(values)


class LabelStudio(BaseHTTPRequestHandler):
    """A Label Studio that has one picture and knows one token."""

    picture = b""
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        if self.path.startswith("/tasks/"):
            self.send_response(303)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.end_headers()
            return
        allowed = self.headers["Authorization"] in {"Token legacy", "Bearer short-lived"}
        self._answer(200 if allowed else 401, self.picture)

    def do_POST(self) -> None:
        form = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, form) == ("/api/token/refresh/", {"refresh": "a.b.c"})
        self._answer(200, b'{"access": "short-lived"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def label_studio(small: bytes, serve_http: Callable[[HTTPServer], str]) -> str:
    """The address of a stand-in for Label Studio's server, as small as it can be."""
    LabelStudio.picture, LabelStudio.seen = small, []
    return serve_http(ThreadingHTTPServer(("127.0.0.1", 0), LabelStudio))


@pytest.mark.parametrize(("key", "header"), [("legacy", "Token legacy"), ("a.b.c", "Bearer short-lived")])
@pytest.mark.parametrize(
    "path", ["/data/upload/1/x.jpg", "upload/1/x.jpg", "/data/local-files/?d=a/x.jpg", "URL"]
)
def test_pictures_are_fetched_from_the_label_studio_of_the_settings(
    settings: Settings,
    connection: redis.Redis,
    label_studio: str,
    while_working: While,
    key: str,
    header: str,
    path: str,
) -> None:
    update = {"label_studio_url": f"{label_studio}/", "label_studio_key": SecretStr(key)}
    app = create_app(settings.model_copy(update=update), connection=connection)
    value = f"{label_studio}/data/upload/1/x.jpg" if path == "URL" else path
    body = {"tasks": [{"id": 1, "data": {"image": value}}], "label_config": config("RectangleLabels")}
    answer = while_working(partial(app.test_client().post, "/predict", json=body))
    assert answer.status_code == 200
    expected = path if path.startswith("/data/local") else "/data/upload/1/x.jpg"
    assert LabelStudio.seen == [(expected, header)]


@pytest.mark.parametrize("base", ["/ls", "/ls/", "/data", "/upload"])
def test_a_label_studio_under_a_path_is_asked_for_no_doubled_one(
    settings: Settings,
    connection: redis.Redis,
    label_studio: str,
    while_working: While,
    base: str,
) -> None:
    update = {"label_studio_url": f"{label_studio}{base}", "label_studio_key": SecretStr("legacy")}
    app = create_app(settings.model_copy(update=update), connection=connection)
    base = base.rstrip("/")
    names = [f"{base}/data/upload/1/x.jpg", "upload/1/x.jpg", f"{label_studio}{base}/data/upload/1/x.jpg"]
    tasks = [{"id": number, "data": {"image": name}} for number, name in enumerate(names)]
    body = {"tasks": tasks, "label_config": config("RectangleLabels")}
    answer = while_working(partial(app.test_client().post, "/predict", json=body))
    assert answer.status_code == 200
    assert LabelStudio.seen == [(f"{base}/data/upload/1/x.jpg", "Token legacy")] * 3


@pytest.mark.parametrize("path", ["/data/upload/1/x.jpg", "s3://bucket/x.jpg"])
def test_a_wrong_token_and_a_redirection_elsewhere_are_errors(
    settings: Settings, connection: redis.Redis, label_studio: str, path: str
) -> None:
    update = {"label_studio_url": label_studio, "label_studio_key": SecretStr("wrong")}
    app = create_app(settings.model_copy(update=update), connection=connection)
    body = {"tasks": [{"id": 1, "data": {"image": path}}], "label_config": config("RectangleLabels")}
    answer = app.test_client().post("/predict", json=body)
    assert answer.status_code == 400
    assert len(LabelStudio.seen) == 1


def test_a_configuration_is_read_with_all_its_controls() -> None:
    (control,) = controls_of(CONFIG)
    assert (control.name, control.to_name, control.shape, control.source) == (
        "box",
        "photo",
        "rectangle",
        "picture",
    )
    assert control.labels == {"car": "Car", "human": "Human", "person": "Human", "rider": "Human"}
    shapes = [one.shape for one in controls_of(config("RectangleLabels", "Labels", "Polygon", "BrushLabels"))]
    assert shapes == ["brush", "polygon", "rectangle"]
