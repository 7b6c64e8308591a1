import json
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.settings import Settings
from flask_detector.web import create_app

Upload = Callable[..., TestResponse]


def states(stream: str) -> list[dict[str, object]]:
    return [
        json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")
    ]


def test_a_finished_detection_is_told_at_once_and_the_stream_ends(
    upload: Upload, client: FlaskClient, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    address = upload(jpeg).headers["Location"]
    work_off()
    answer = client.get(f"{address}/events")
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    (told,) = states(answer.text)
    assert (told["status"], told["final"], told["step"]) == ("done", True, None)


def test_a_change_is_told_when_it_happens(
    upload: Upload, client: FlaskClient, app: Flask, jpeg: bytes
) -> None:
    address = upload(jpeg).headers["Location"]
    id = address.rpartition("/")[2]
    stream = iter(client.get(f"{address}/events", buffered=False).iter_encoded())
    assert b"retry" in next(stream)
    assert states(next(stream).decode())[0]["position"] == 0
    app.extensions["flask-detector"].jobs.cancel(id)
    told = b"".join(stream).decode()
    assert states(told)[-1]["status"] == "cancelled"


def test_a_state_is_told_once_and_what_has_not_changed_keeps_the_line_alive(
    upload: Upload, client: FlaskClient, app: Flask, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_detector.web.core.sse._LOOK_AGAIN_SECONDS", 0.05)
    address = upload(jpeg).headers["Location"]
    stream = iter(client.get(f"{address}/events", buffered=False).iter_encoded())
    names = [next(stream).decode().splitlines()[0] for _ in range(4)]
    assert names[1:] == ["event: state", "event: still", "event: still"]
    app.extensions["flask-detector"].jobs.cancel(address.rpartition("/")[2])
    assert b"".join(stream).decode().count("event: state") == 1


def test_a_detection_that_is_deleted_meanwhile_ends_the_stream(
    upload: Upload, client: FlaskClient, app: Flask, jpeg: bytes
) -> None:
    address = upload(jpeg).headers["Location"]
    stream = iter(client.get(f"{address}/events", buffered=False).iter_encoded())
    next(stream), next(stream)
    service = app.extensions["flask-detector"]
    service.delete(service.jobs.find(address.rpartition("/")[2]))
    assert states(b"".join(stream).decode())[-1]["status"] == "gone"


def test_too_many_listeners_are_turned_away_and_may_ask_instead(
    settings: Settings, connection: redis.Redis, jpeg: bytes
) -> None:
    app = create_app(settings.model_copy(update={"web_threads": 2}), connection=connection)
    client = app.test_client()
    sent = client.post("/api/v1/detections", data=jpeg).json
    assert sent is not None
    address = f"/detections/{sent['id']}"
    first = client.get(f"{address}/events", buffered=False)
    next(iter(first.iter_encoded()))
    assert client.get(f"{address}/events").status_code == 503
    assert client.get(f"{address}/state").json == {
        "status": "queued",
        "position": 0,
        "stage": None,
        "step": "queued",
        "final": False,
        "working": False,
        "estimated_seconds": None,
        "place": "Yours is next.",
        "forecast": "",
    }
    first.close()
    again = client.get(f"{address}/events", buffered=False)
    assert again.status_code == 200
    again.close()
