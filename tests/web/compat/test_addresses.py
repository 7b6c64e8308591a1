"""Pictures that clients name by an address: fetched where the settings allow it, and by the API's rules."""

from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from flask_detector.settings import Settings
from flask_detector.web import create_app

While = Callable[[Callable[[], TestResponse]], TestResponse]


class Camera(BaseHTTPRequestHandler):
    """A web server with one picture, one missing one, and one that is very large."""

    picture: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        body = {"/still.png": self.picture, "/large.png": self.picture + bytes(300_000)}.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera(small: bytes, serve_http: Callable[[HTTPServer], str]) -> str:
    Camera.picture = small
    return serve_http(ThreadingHTTPServer(("127.0.0.1", 0), Camera))


@pytest.fixture
def app(settings: Settings, connection: redis.Redis) -> Flask:
    update = {"pictures_by_url": True, "allow_private_addresses": True, "max_upload_mb": 0.2}
    return create_app(settings.model_copy(update=update), connection=connection)


def requests(address: str) -> list[dict[str, Any]]:
    """Return what each kind of client that can name an address sends."""
    config = (
        '<View><Image name="i" value="$image"/>'
        '<RectangleLabels name="b" toName="i"><Label value="Car"/></RectangleLabels></View>'
    )
    tasks = [{"id": 1, "data": {"image": address}}]
    image = {"type": "url", "value": address}
    return [
        {"path": "/detect", "json": {"data": address, "detect": {"*": 50}}},
        {"path": "/infer/object_detection", "json": {"model_id": "coco/3", "image": image}},
        {"path": f"/coco/3?image={address}"},
        {"path": "/models", "json": {"inputs": address}},
        {"path": "/predict", "json": {"tasks": tasks, "label_config": config}},
    ]


def test_the_picture_is_fetched(app: Flask, camera: str, while_working: While) -> None:
    for request in requests(f"{camera}/still.png"):
        answer = while_working(partial(app.test_client().post, request.pop("path"), **request))
        assert answer.status_code == 200


@pytest.mark.parametrize(("file", "status"), [("none.png", 400), ("large.png", 413)])
def test_what_can_not_be_fetched_is_told(app: Flask, camera: str, file: str, status: int) -> None:
    for request in requests(f"{camera}/{file}"):
        answer = app.test_client().post(request.pop("path"), **request)
        assert (answer.status_code, answer.mimetype) == (status, "application/json")


def test_private_networks_stay_closed_unless_they_are_opened(
    settings: Settings, connection: redis.Redis, camera: str
) -> None:
    app = create_app(settings.model_copy(update={"pictures_by_url": True}), connection=connection)
    for request in requests(f"{camera}/still.png"):
        answer = app.test_client().post(request.pop("path"), **request)
        assert answer.status_code == 400
        assert "private network" in answer.text
