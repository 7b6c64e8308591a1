"""The ways to send pictures, and what is said where one is wrong."""

import base64
import io
import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from tests.support.stack import Stack

DETECTIONS = "/api/v1/detections"
Code = Callable[[TestResponse], tuple[int, str]]


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_picture_in_json_is_accepted(client: FlaskClient, jpeg: bytes) -> None:
    for image in (
        in_base64(jpeg),
        f"data:image/jpeg;base64,{in_base64(jpeg)}",
        base64.encodebytes(jpeg).decode(),
    ):
        sent = client.post(DETECTIONS, json={"image": image, "filename": "cat.jpg", "min_score": 0.4})
        assert sent.status_code == 202
        assert sent.json is not None
        assert (sent.json["filename"], sent.json["min_score"], sent.json["width"]) == ("cat.jpg", 0.4, 64)


def test_options_in_the_address_hold_for_json_too_unless_it_says_otherwise(
    client: FlaskClient, jpeg: bytes
) -> None:
    query = f"{DETECTIONS}?min_score=0.3&model=nanodet-g"
    sent = client.post(query, json={"image": in_base64(jpeg), "min_score": 0.6})
    assert sent.json is not None
    assert (sent.json["min_score"], sent.json["model"]) == (0.6, "nanodet-g")


@pytest.mark.parametrize("field", ["picture", "image", "file", "anything"])
def test_a_file_may_be_in_a_field_of_any_name(client: FlaskClient, jpeg: bytes, field: str) -> None:

    assert client.post(DETECTIONS, data={field: (io.BytesIO(jpeg), "a.jpg")}).status_code == 202


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"image": "not base64!"}, (400, "bad_parameter")),
        ({"image": "data:image/png,abc"}, (400, "bad_parameter")),
        ({"image": "A"}, (400, "bad_parameter")),
        ({"image": 7}, (400, "bad_parameter")),
        ({"image": ""}, (400, "empty_picture")),
        ({"image": "aGVsbG8="}, (415, "not_a_picture")),
        ({}, (400, "no_picture")),
        ({"image": "aGVsbG8=", "url": "http://example.com/"}, (400, "bad_parameter")),
        ({"url": "http://example.com/a.jpg"}, (422, "address_refused")),
        ({"images": ["aGVsbG8="]}, (400, "bad_parameter")),
    ],
)
def test_json_that_is_no_picture_is_refused(
    client: FlaskClient, code_of: Code, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code_of(client.post(DETECTIONS, json=body)) == expected


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '"text"', "[" * 100_000, '{"image": "a"', "\xff"]
)
def test_what_is_no_json_object_is_refused(client: FlaskClient, code_of: Code, text: str) -> None:
    sent = client.post(DETECTIONS, data=text.encode("latin-1"), content_type="application/json")
    assert code_of(sent) == (400, "bad_parameter")


def test_ten_megabytes_of_json_are_refused_in_words(client: FlaskClient, code_of: Code) -> None:
    text = json.dumps({"image": "x" * 10_000_000 + "!"})
    assert code_of(client.post(DETECTIONS, data=text, content_type="application/json")) == (
        400,
        "bad_parameter",
    )
    many = json.dumps([0] * 5_000_000)
    assert code_of(client.post(DETECTIONS, data=many, content_type="application/json")) == (
        400,
        "bad_parameter",
    )


def test_more_json_than_a_picture_can_be_is_not_read(
    client: FlaskClient, code_of: Code, service: Service
) -> None:
    size = service.settings.max_upload_bytes * 4 // 3 + 1_000_001
    sent = client.post(DETECTIONS, data=b" " * size, content_type="application/json")
    assert code_of(sent) == (413, "request_too_large")


@pytest.mark.parametrize(
    "score", ["NaN", "Infinity", "-Infinity", "1.5", "-0.1", "many", "null", "true", "[]"]
)
def test_a_threshold_that_is_none_is_refused_by_name(client: FlaskClient, jpeg: bytes, score: str) -> None:
    sent = client.post(f"{DETECTIONS}?min_score={score}", data=jpeg, content_type="image/jpeg")
    assert (sent.status_code, sent.json and sent.json["error"]["field"]) == (400, "min_score")
    if score not in {"null", "true"}:
        value = f'"{score}"' if score == "many" else score
        text = f'{{"image": "{in_base64(jpeg)}", "min_score": {value}}}'
        assert client.post(DETECTIONS, data=text, content_type="application/json").status_code == 400


@pytest.mark.parametrize(
    ("query", "expected", "field"),
    [
        ("model=gpt", (422, "unknown_model"), None),
        ("model=mask-rcnn-r50-fpn", (409, "model_not_installed"), None),
        ("classes=cat,unicorn", (422, "unknown_label"), "classes"),
        ("classes=", (400, "bad_parameter"), "classes"),
        ("masks=png", (400, "bad_parameter"), "masks"),
        ("min_scor=0.5", (400, "bad_parameter"), "min_scor"),
        ("min_score=0.1&min_score=0.2", (400, "bad_parameter"), "min_score"),
        ("callback_url=ftp://example.com", (400, "bad_parameter"), "callback_url"),
        ("callback_url=http://user:word@example.com", (422, "address_refused"), None),
        ("idempotency_key=" + "k" * 256, (400, "bad_parameter"), "idempotency_key"),
    ],
)
def test_an_option_that_can_not_be_is_refused_by_name(
    post: Callable[..., TestResponse], code_of: Code, query: str, expected: tuple[int, str], field: str | None
) -> None:
    sent = post(query=query)
    assert code_of(sent) == expected
    assert sent.json is not None
    assert sent.json["error"].get("field") == field


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/pdf", "video/mp4", "", "nonsense"]
)
def test_any_content_type_will_do_for_a_picture_and_none_for_something_else(
    client: FlaskClient, code_of: Code, jpeg: bytes, kind: str
) -> None:
    assert client.post(DETECTIONS, data=jpeg, content_type=kind).status_code == 202
    assert code_of(client.post(DETECTIONS, data=b"<xml/>", content_type=kind)) == (415, "not_a_picture")


def test_a_form_without_a_boundary_is_refused(client: FlaskClient, code_of: Code, jpeg: bytes) -> None:
    assert code_of(client.post(DETECTIONS, data=jpeg, content_type="multipart/form-data")) == (
        400,
        "broken_form",
    )


# Werkzeug leaves the half file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile:ResourceWarning")
def test_a_form_that_is_cut_short_is_refused(client: FlaskClient, code_of: Code, jpeg: bytes) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.jpg"\r\n\r\n' + jpeg[:300]
    sent = client.post(DETECTIONS, data=body, content_type="multipart/form-data; boundary=b")
    assert sent.status_code == 400
    assert code_of(sent)[1] == "broken_form"


def test_two_hundred_files_are_too_many(
    post_files: Callable[..., TestResponse], code_of: Code, jpeg: bytes
) -> None:
    assert code_of(post_files(*[jpeg] * 200)) == (413, "too_many_pictures")


def test_a_form_of_too_many_parts_is_refused(client: FlaskClient, code_of: Code) -> None:
    sent = client.post(
        DETECTIONS, data={f"field{n}": "x" for n in range(2000)}, content_type="multipart/form-data"
    )
    assert code_of(sent) == (413, "request_too_large")


def test_a_batch_may_be_larger_than_one_picture_but_has_its_limit(
    settings: Settings, connection: redis.Redis, code_of: Code, jpeg: bytes
) -> None:

    small = settings.model_copy(update={"max_upload_mb": 0.5, "max_batch_mb": 1.0})
    client = create_app(small, connection=connection).test_client()

    def send(*sizes: int) -> TestResponse:
        files = [FileStorage(io.BytesIO(jpeg + bytes(size)), "a.jpg") for size in sizes]
        boundary, body = encode_multipart(MultiDict([("picture", file) for file in files]))
        return client.post(DETECTIONS, data=body, content_type=f"multipart/form-data; boundary={boundary}")

    assert send(400_000, 400_000, 400_000).status_code == 202
    assert code_of(send(600_000)) == (413, "picture_too_large")
    assert code_of(send(*[400_000] * 6)) == (413, "request_too_large")


def test_bare_bytes_have_the_limit_of_a_picture(
    settings: Settings, connection: redis.Redis, code_of: Code, jpeg: bytes
) -> None:
    small = settings.model_copy(update={"max_upload_mb": 0.01})
    client = create_app(small, connection=connection).test_client()
    sent = client.post(DETECTIONS, data=jpeg + bytes(10_000), content_type="image/jpeg")
    assert code_of(sent) == (413, "picture_too_large")


def test_half_a_body_is_told_and_leaves_nothing(stack: Stack, jpeg: bytes) -> None:
    address = urlsplit(stack.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as channel:
        head = f"POST {DETECTIONS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000\r\n\r\n"
        channel.sendall(head.encode() + jpeg[:200])
        channel.shutdown(socket.SHUT_WR)
        answer = channel.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_the_other_methods_are_answered(client: FlaskClient, method: str) -> None:
    answer = client.open("/api/v1/models", method=method)
    assert (answer.status_code, answer.data) == (200, b"")
    refused = client.put("/api/v1/models")
    assert (refused.status_code, refused.json and refused.json["error"]["code"]) == (
        405,
        "method_not_allowed",
    )
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def as_bytes(text: str, encoding: str = "utf-8") -> str:
    """Return what becomes these bytes in a header."""
    return text.encode(encoding).decode("latin-1")


DISPOSITIONS = {
    "/get?id=1": "inline; filename=\"x.jpg\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.jpg",
    "/get?id=2": as_bytes('attachment; filename="фото.jpg"'),
    "/get?id=3": as_bytes('attachment; filename="写真.jpg"', "shift-jis"),
    "/get?id=4": 'attachment; filename="../../a.jpg"',
}


class _Pictures(BaseHTTPRequestHandler):
    picture = b""

    def do_GET(self) -> None:
        if self.path == "/old":
            self.send_response(302)
            self.send_header("Location", "/new/cat.jpg")
        elif self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", as_bytes("/写真.jpg"))
        else:
            self.send_response(404 if self.path == "/missing" else 200)
        if self.path in DISPOSITIONS:
            self.send_header("Content-Disposition", DISPOSITIONS[self.path])
        self.end_headers()
        self.wfile.write(self.picture)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def picture_url(jpeg: bytes, serve_http: Callable[[HTTPServer], str]) -> str:
    """The address of a server of pictures."""
    handler = type("Handler", (_Pictures,), {"picture": jpeg})
    return serve_http(ThreadingHTTPServer(("127.0.0.1", 0), handler))


def test_a_picture_is_fetched_from_its_address_where_that_is_allowed(
    settings: Settings, connection: redis.Redis, code_of: Code, picture_url: str
) -> None:
    allowed = {"pictures_by_url": True, "allow_private_addresses": True}
    client = create_app(settings.model_copy(update=allowed), connection=connection).test_client()
    for options in ({"json": {"url": f"{picture_url}/old"}}, {"data": {"url": f"{picture_url}/old"}}):
        sent = client.post(DETECTIONS, **options)
        assert (sent.status_code, sent.json and sent.json["filename"]) == (202, "cat.jpg")
    missing = client.post(DETECTIONS, json={"url": f"{picture_url}/missing"})
    assert code_of(missing) == (422, "address_unreachable")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/%E5%86%99%E7%9C%9F.jpg", "写真.jpg"),
        ("/写真.jpg", "写真.jpg"),
        ("/caf%E9.jpg", "café.jpg"),
        ("/folder/", "folder"),
        ("/a%2F..%2Fb.jpg", "b.jpg"),
        ("/", "picture"),
        ("/elsewhere", "写真.jpg"),
        ("/get?id=1", "写真.jpg"),
        ("/get?id=2", "фото.jpg"),
        ("/get?id=3", "写真.jpg"),
        ("/get?id=4", "a.jpg"),
    ],
)
def test_a_fetched_picture_is_called_as_its_server_or_its_address_says(
    settings: Settings, connection: redis.Redis, picture_url: str, path: str, name: str
) -> None:
    allowed = {"pictures_by_url": True, "allow_private_addresses": True}
    client = create_app(settings.model_copy(update=allowed), connection=connection).test_client()
    sent = client.post(DETECTIONS, json={"url": picture_url + path})
    assert (sent.status_code, sent.json and sent.json["filename"]) == (202, name)


def test_a_picture_is_not_fetched_from_this_machine_unless_that_is_allowed_too(
    settings: Settings, connection: redis.Redis, code_of: Code, picture_url: str
) -> None:
    client = create_app(
        settings.model_copy(update={"pictures_by_url": True}), connection=connection
    ).test_client()
    assert code_of(client.post(DETECTIONS, json={"url": f"{picture_url}/a.jpg"})) == (422, "address_refused")
