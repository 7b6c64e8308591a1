"""The client of the API, against a server that answers as it is told, and against a real installation."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.client import Client, Refused, ServerError
from flask_detector.structures.detections import Detections
from tests.support.stack import Stack

Answer = tuple[int, dict[str, str], Any]

FOUND = Detections(
    width=64,
    height=48,
    boxes=np.array([[1, 2, 30, 40]], np.float32),
    scores=np.array([0.5], np.float32),
    class_ids=np.zeros(1, np.int64),
    labels=("cat",),
    model="a-model",
)
DONE = {"id": "abc", "status": "done", "result": FOUND.to_json()}


@dataclass
class Server:
    """What the server answers, call by call, the last one again and again; and what it was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def server(serve_http: Callable[[HTTPServer], str]) -> Server:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.calls.append((self.command, self.path, dict(self.headers), body))
            status, headers, form = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if status == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = form if isinstance(form, bytes) else json.dumps(form).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815  # so the base class calls them

        def log_message(self, format: str, *args: object) -> None:
            pass

    told = Server(serve_http(ThreadingHTTPServer(("127.0.0.1", 0), Handler)))
    return told


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def error(code: str, message: str = "It is so.", hint: str = "Do this.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}


def test_a_result_that_comes_at_once_needs_one_call(server: Server, slept: list[float]) -> None:
    server.answers = [(200, {}, DONE)]
    client = Client(server.url + "/", api_key="fd_key", sleep=slept.append)
    found = client.detect(b"\x00picture\r\n", 'my "flat"\r\n.jpg', model="m", min_score=0.25)
    assert found.to_json() == FOUND.to_json()
    ((method, path, headers, body),) = server.calls
    assert (method, path) == ("POST", "/api/v1/detections?model=m&min_score=0.25")
    assert headers["Authorization"] == "Bearer fd_key"
    assert headers["Prefer"] == "wait=30"
    parts = message_from_bytes(
        f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
    ).get_payload()
    assert isinstance(parts, list)
    (part,) = parts
    assert isinstance(part, Message)
    assert part.get_param("name", header="Content-Disposition") == "picture"
    assert part.get_filename() == "my %22flat%22__.jpg"
    assert b"\r\n\r\n\x00picture\r\n\r\n--" in body
    assert slept == []


def test_a_result_that_takes_long_is_looked_for_until_it_is_there(server: Server, slept: list[float]) -> None:
    queued = {"id": "a/b", "status": "queued"}
    server.answers = [(202, {}, queued), (200, {}, queued), (200, {}, {"id": "a/b", "status": "running"})]
    server.answers += [(200, {}, DONE)]
    assert len(Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")) == 1
    assert [path for _, path, _, _ in server.calls[1:]] == ["/api/v1/detections/a%2Fb"] * 3
    assert "Authorization" not in server.calls[0][2]
    assert slept == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(server: Server, slept: list[float], status: int) -> None:
    server.answers = [
        (status, {"Retry-After": "7"}, error("queue_full")),
        (status, {"Retry-After": "86400"}, error("queue_full")),
        (status, {}, b"<html>busy</html>"),
        (201, {}, DONE),
    ]
    Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert slept == [7, 60, 1]
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in server.calls}) == 1


def test_a_server_that_is_busy_for_ever_is_given_up(server: Server, slept: list[float]) -> None:
    server.answers = [(503, {"Retry-After": "60"}, error("queue_full"))]
    with pytest.raises(ServerError, match="busy for too long"):
        Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert sum(slept) <= 3600


def test_an_answer_that_is_lost_is_asked_for_again(server: Server, slept: list[float]) -> None:
    server.answers = [(0, {}, None), (0, {}, None), (200, {}, DONE)]
    Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert slept == [0.5, 1.0]


def test_a_picture_that_the_server_refuses_says_why(server: Server, slept: list[float]) -> None:
    server.answers = [(415, {}, error("not_a_picture", "No picture."))]
    with pytest.raises(Refused, match=r"No picture. Do this.") as refusal:
        Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert refusal.value.code == "not_a_picture"


def test_a_detection_that_failed_says_why(server: Server, slept: list[float]) -> None:
    server.answers = [(202, {}, {"id": "a", "status": "queued"})]
    server.answers += [(200, {}, {"id": "a", "status": "failed", **error("damaged_picture")})]
    with pytest.raises(Refused) as refusal:
        Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert refusal.value.code == "damaged_picture"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_ends_it_all(server: Server, slept: list[float], status: int) -> None:
    server.answers = [(status, {}, error("bad_key", "This key is not known."))]
    with pytest.raises(ServerError, match=r"This key is not known. Set a key with --api-key"):
        Client(server.url, api_key="x", sleep=slept.append).detect(b"x", "a.jpg")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, b"<html>"), "is not a flask-detector server"),
        ((200, {}, []), "is not a flask-detector server"),
        ((200, {}, {"status": "done"}), "is not a flask-detector server"),
        ((200, {}, {"status": "done", "result": {"version": 99}}), "is not a flask-detector server"),
        ((200, {}, {"status": "what"}), "is not a flask-detector server"),
        ((404, {}, b"nothing here"), "returned 404 Not Found"),
        ((500, {}, {"oops": 1}), "returned 500"),
        ((308, {"Location": "https://elsewhere.example/"}, b""), "redirects to https://elsewhere.example/"),
    ],
)
def test_another_kind_of_server_is_told_from_ours(
    server: Server, slept: list[float], answer: Answer, words: str
) -> None:
    server.answers = [answer]
    with pytest.raises(ServerError, match=words):
        Client(server.url, sleep=slept.append).detect(b"x", "a.jpg")
    assert len(server.calls) == 1


def test_a_server_that_is_not_there_is_told_after_some_tries(slept: list[float]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ServerError, match=r"can't be reached \(Connection refused\)"):
        Client(f"http://127.0.0.1:{port}", sleep=slept.append).detect(b"x", "a.jpg")
    assert slept == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize(
    "url", ["", "localhost:5000", "ftp://x", "http://", "http://[", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ServerError, match="not the URL of a server"):
        Client(url)


@pytest.mark.parametrize("key", ["a\nb: c", "schlüssel"])
def test_a_key_that_can_not_be_one_is_refused(key: str) -> None:
    with pytest.raises(ServerError, match="characters"):
        Client("http://localhost", api_key=key)


def test_a_real_installation_detects(stack: Stack, pictures: Path) -> None:
    client = Client(stack.url)
    found = client.detect((pictures / "street.jpg").read_bytes(), "straße 图.jpg", min_score=0.5)
    assert found.counts()["car"] >= 2
    assert found.scores.min() >= 0.5
    with pytest.raises(Refused) as refusal:
        client.detect(b"no picture", "a.jpg")
    assert refusal.value.code == "not_a_picture"
    with pytest.raises(Refused) as refusal:
        client.detect((pictures / "street.jpg").read_bytes(), "a.jpg", model="none")
    assert refusal.value.code == "unknown_model"
