"""Webhooks: a real receiver, a real courier."""

import io
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest
import redis
from flask import Flask
from standardwebhooks import Webhook, WebhookVerificationError

from flask_detector.api_keys import Keys
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.webhooks import signing
from flask_detector.webhooks.sender import Courier

Eventually = Callable[[Callable[[], bool], float], None]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with `statuses`, then always 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver(serve_http: Callable[[HTTPServer], str]) -> Receiver:
    server = Receiver()
    serve_http(server)
    return server


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow_private_addresses": True})


@pytest.fixture
def service(open_settings: Settings, connection: redis.Redis) -> Service:
    app: Flask = create_app(open_settings, connection=connection)
    found: Service = app.extensions["flask-detector"]
    return found


@pytest.fixture
def courier(open_settings: Settings, connection: redis.Redis) -> Iterator[Courier]:
    working = Courier(open_settings, connection, pauses=[1, 1])
    working.start()
    yield working
    working.stop()


@pytest.fixture
def accept(service: Service, jpeg: bytes) -> Callable[..., str]:
    """A function that takes a picture in whose end is to be told to an address."""

    def accept(url: str, owner: str | None = None, data: bytes = jpeg) -> str:
        return service.accept(io.BytesIO(data), filename="a.jpg", owner=owner, callback_url=url)

    return accept


def owed(connection: redis.Redis) -> list[bytes]:
    """Return the keys of the deliveries that there are."""
    return list(connection.scan_iter("flask-detector:delivery:*"))


def test_the_end_of_a_detection_is_told_signed_and_with_its_result(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
    eventually: Eventually,
) -> None:
    key, _ = Keys(connection).create("a")
    ids = [accept(receiver.url), accept(receiver.url, key.owner)]
    work_off()
    eventually(lambda: len(receiver.received) == 2, 30)
    secrets = {ids[0]: Keys(connection).webhook_secret(None), ids[1]: Keys(connection).webhook_secret(key.id)}
    for headers, body in receiver.received:
        detection = json.loads(body)["data"]
        told = Webhook(secrets[detection["id"]]).verify(body, headers)
        assert told["type"] == signing.FINISHED
        assert (detection["status"], detection["result"]["model"]) == ("done", "nanodet-g")


def test_a_failure_is_told_with_its_reason(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    jpeg: bytes,
    work_off: Callable[[], None],
    eventually: Eventually,
) -> None:
    accept(receiver.url, data=jpeg[:-30])
    work_off()
    eventually(lambda: len(receiver.received) == 1, 30)
    told = json.loads(receiver.received[0][1])
    assert (told["type"], told["data"]["error"]["code"]) == (signing.FAILED, "damaged_picture")


def test_a_delivery_that_is_not_received_is_sent_again_under_the_same_id(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    work_off: Callable[[], None],
    eventually: Eventually,
) -> None:
    receiver.statuses = [500, 302]
    accept(receiver.url)
    work_off()
    eventually(lambda: len(receiver.received) == 3, 60)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert len({body for _, body in receiver.received}) == 1


def test_after_the_last_try_a_delivery_is_given_up(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
    eventually: Eventually,
) -> None:
    receiver.statuses = [500] * 10
    accept(receiver.url)
    work_off()
    eventually(lambda: owed(connection) == [], 60)
    assert len(receiver.received) == 3


def test_nothing_is_sent_into_a_private_network(
    accept: Callable[..., str],
    receiver: Receiver,
    settings: Settings,
    connection: redis.Redis,
    work_off: Callable[[], None],
    eventually: Eventually,
) -> None:
    accept(receiver.url)
    work_off()
    courier = Courier(settings, connection)
    courier.start()
    eventually(lambda: connection.hget(owed(connection)[0], "tries") == b"1", 30)
    courier.stop()
    assert receiver.received == []


def test_nothing_is_told_of_a_detection_that_was_cancelled(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    service: Service,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    id = accept(receiver.url)
    assert len(owed(connection)) == 1
    service.jobs.cancel(id)
    assert owed(connection) == []
    work_off()
    assert receiver.received == []


def test_the_signature_is_that_of_standard_webhooks() -> None:
    body = b'{"test": 2432232314}'
    headers = signing.headers_of("msg_1", body, SECRET)
    assert Webhook(SECRET).verify(body, headers) == {"test": 2432232314}
    for changed in ({**headers, "Webhook-Id": "msg_2"}, {**headers, "Webhook-Timestamp": "1"}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in changed.items()})
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)
