"""A collection of the browser, and what pages are sent."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.web.core.service import Service
from tests.support.collected import OF_MODEL, OF_PERSON, Own, annotations


@pytest.fixture
def service(app: Flask) -> Service:
    found: Service = app.extensions["flask-detector"]
    return found


@pytest.fixture
def send(client: FlaskClient, token: Callable[[], str]) -> Callable[..., TestResponse]:
    """A function that sends a form."""

    def send(url: str, **fields: str) -> TestResponse:
        return client.post(url, data={"csrf_token": token(), **fields}, headers={"Accept": "text/html"})

    return send


@pytest.fixture
def own(client: FlaskClient, send: Callable[..., TestResponse], service: Service, jpeg: bytes) -> Own:
    id = send("/collections", name="<b>Füchse</b> & 狐").headers["Location"].rpartition("/")[2]
    objects = [annotations(OF_MODEL), annotations(OF_PERSON), annotations()]
    names = ("a.jpg", "<i>狐</i>.jpg", "c.jpg")
    pictures = [
        service.pictures.add(id, jpeg, its, file_name=name)[0]
        for its, name in zip(objects, names, strict=True)
    ]
    return Own(id, pictures)
