"""Webhooks: a real receiver, a real courier."""

import contextlib
import io
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook, WebhookVerificationError

from flask_detector.api_keys import Keys
from flask_detector.detectors import AUTO
from flask_detector.jobs import deliveries
from flask_detector.jobs.records import DetectionRequest
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.webhooks import signing
from flask_detector.webhooks.sender import Courier, Receivers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with `statuses`, then always 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.seconds = 0.0
        self.holds_body: threading.Event | None = None
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        time.sleep(self.server.seconds)
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("Location", self.server.url)
        self.end_headers()
        if self.server.holds_body is not None:
            self.wfile.flush()
            self.server.holds_body.wait(30)

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
        request = DetectionRequest(AUTO, owner=owner, callback_url=url)
        return service.accept(io.BytesIO(data), request, filename="a.jpg")

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
) -> None:
    key, _ = Keys(connection).create("a")
    ids = [accept(receiver.url), accept(receiver.url, key.owner)]
    work_off()
    wait_until(lambda: len(receiver.received) == 2, 30)
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
) -> None:
    accept(receiver.url, data=jpeg[:-30])
    work_off()
    wait_until(lambda: len(receiver.received) == 1, 30)
    told = json.loads(receiver.received[0][1])
    assert (told["type"], told["data"]["error"]["code"]) == (signing.FAILED, "damaged_picture")


@pytest.mark.slow
def test_a_delivery_that_is_not_received_is_sent_again_under_the_same_id(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    work_off: Callable[[], None],
) -> None:
    receiver.statuses = [500, 302]
    accept(receiver.url)
    work_off()
    wait_until(lambda: len(receiver.received) == 3, 60)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert len({body for _, body in receiver.received}) == 1


@pytest.mark.slow
def test_after_the_last_try_a_delivery_is_given_up(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    receiver.statuses = [500] * 10
    accept(receiver.url)
    work_off()
    wait_until(lambda: owed(connection) == [], 60)
    assert len(receiver.received) == 3


def test_nothing_is_sent_into_a_private_network(
    accept: Callable[..., str],
    receiver: Receiver,
    settings: Settings,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    accept(receiver.url)
    work_off()
    courier = Courier(settings, connection)
    courier.start()
    wait_until(lambda: connection.hget(owed(connection)[0], "tries") == b"1", 30)
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


def test_a_receiver_need_not_end_its_answer_in_time(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    receiver.holds_body = threading.Event()
    accept(receiver.url)
    work_off()
    wait_until(lambda: owed(connection) == [], 8)
    receiver.holds_body.set()
    assert len(receiver.received) == 1


@pytest.mark.slow
def test_a_receiver_that_takes_its_time_is_told_once(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    receiver.seconds = 7.0
    accept(receiver.url)
    work_off()
    wait_until(lambda: owed(connection) == [], 30)
    assert len(receiver.received) == 1


def test_dead_receivers_keep_nobody_else_waiting(
    accept: Callable[..., str],
    receiver: Receiver,
    courier: Courier,
    connection: redis.Redis,
    work_off: Callable[[], None],
) -> None:
    with contextlib.ExitStack() as stack:
        dead = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(20)]
        for one in dead * 2:
            accept(f"http://127.0.0.1:{one.getsockname()[1]}/hook")
        work_off()
        wait_until(lambda: all(map(has_a_connection, dead)), 8)
        accept(receiver.url)
        work_off()
        courier.wake()
        wait_until(lambda: len(receiver.received) == 1, 8)
        tries = [connection.hget(key, "tries") for key in owed(connection)]
        assert tries.count(b"0") >= 40, "no dead one was given up yet"


def has_a_connection(listener: socket.socket) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def test_a_receiver_that_answers_is_sent_several_at_once_and_one_that_does_not_nothing_for_a_while() -> None:
    receivers = Receivers()
    receivers.begin("new")
    assert receivers.closed() == ["new"]
    receivers.end("new", answered=True)
    for _ in range(2):
        receivers.begin("new")
    assert receivers.closed() == ["new"]
    receivers.end("new", answered=None)
    assert receivers.closed() == []
    receivers.end("new", answered=False)
    assert receivers.closed() == ["new"]


def test_what_a_dying_courier_had_is_sent_by_another_one_under_the_same_id(
    accept: Callable[..., str],
    connection: redis.Redis,
    work_off: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "_TAKEN_SECONDS", 0.5)
    accept("http://192.0.2.1/hook")
    due = deliveries.Deliveries(connection)
    assert due.take(9) == []  # it has not ended
    work_off()
    taken = due.take(9)
    assert len(taken) == 1
    assert due.take(9) == []
    wait_until(lambda: due.take(9) == taken, 8)


def test_a_closed_receiver_is_passed_over(
    accept: Callable[..., str], connection: redis.Redis, work_off: Callable[[], None]
) -> None:
    for url in ("http://192.0.2.1/hook", "http://192.0.2.2/hook", "http://192.0.2.1/other"):
        accept(url)
    work_off()
    due = deliveries.Deliveries(connection)
    closed = deliveries.receiver_of("http://192.0.2.1/hook")
    assert [one.url for one in due.take(9, closed=[closed])] == ["http://192.0.2.2/hook"]
    assert len(due.take(9)) == 1  # one of each receiver at most
    assert len(due.take(9)) == 1
    assert due.take(9) == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "2130706433",
        "0x7f.1",
        "\uff1127.1",
    ],
)
def test_a_private_address_in_numbers_is_refused_at_once(
    client: FlaskClient, connection: redis.Redis, jpeg: bytes, host: str
) -> None:
    query = urlencode({"callback_url": f"http://{host}/hook"})
    answer = client.post(f"/api/v1/detections?{query}", data=jpeg, content_type="image/jpeg")
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "address_refused")
    assert list(connection.scan_iter("rq:job:*")) == []


def test_the_signature_is_that_of_standard_webhooks() -> None:
    body = b'{"test": 2432232314}'
    headers = signing.headers_of("msg_1", body, SECRET)
    assert Webhook(SECRET).verify(body, headers) == {"test": 2432232314}
    for changed in ({**headers, "Webhook-Id": "msg_2"}, {**headers, "Webhook-Timestamp": "1"}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in changed.items()})
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)
