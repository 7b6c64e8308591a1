"""Help to ask the API."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.web.core.service import Service

DETECTIONS = "/api/v1/detections"


@pytest.fixture
def service(app: Flask) -> Service:
    found: Service = app.extensions["flask-detector"]
    return found


@pytest.fixture
def post(client: FlaskClient, jpeg: bytes) -> Callable[..., TestResponse]:
    """A function that sends a picture as bare bytes; options are the client's."""

    def post(data: bytes = jpeg, query: str = "", **options: Any) -> TestResponse:
        return client.post(f"{DETECTIONS}?{query}", data=data, content_type="image/jpeg", **options)

    return post


@pytest.fixture
def finished(
    post: Callable[..., TestResponse], work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> str:
    """The address of a finished detection with chairs in it."""
    address = post(shared_pictures["apartment.jpg"]).headers["Location"]
    work_off()
    return address


@pytest.fixture
def post_files(client: FlaskClient) -> Callable[..., TestResponse]:
    """A function that sends a form with files and fields."""

    def post_files(*files: bytes, **fields: str) -> TestResponse:
        form: MultiDict[str, Any] = MultiDict(fields)
        for number, data in enumerate(files):
            form.add("picture", FileStorage(io.BytesIO(data), f"{number}.jpg"))
        boundary, body = encode_multipart(form)  # in memory; the test client would leave a file open
        return client.post(DETECTIONS, data=body, content_type=f"multipart/form-data; boundary={boundary}")

    return post_files


@pytest.fixture
def code_of() -> Callable[[TestResponse], tuple[int, str]]:
    """A function that returns an answer's status and its error's code."""
    return lambda answer: (answer.status_code, answer.json["error"]["code"] if answer.json else "")
