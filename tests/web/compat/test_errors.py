"""What goes wrong is told to each client in its own form, and nothing of its picture stays."""

import io
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from PIL import Image
from redis.backoff import NoBackoff
from redis.retry import Retry
from werkzeug.test import TestResponse

from flask_detector.api_keys import Keys
from flask_detector.settings import CLIENTS, Settings
from flask_detector.web import create_app
from flask_detector.web.compat import DIALECTS

While = Callable[[Callable[[], TestResponse]], TestResponse]


def test_each_kind_of_client_has_a_dialect_and_can_be_named_in_the_settings(speaker: Any) -> None:
    assert tuple(DIALECTS) == CLIENTS
    assert speaker.name in CLIENTS


def test_a_picture_is_detected_and_forgotten(
    speaker: Any, app: Flask, jpeg: bytes, while_working: While, connection: redis.Redis, settings: Settings
) -> None:
    answer = while_working(lambda: speaker.ask(app.test_client(), jpeg))
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert remains(connection, settings) == []


def test_a_request_without_a_picture(speaker: Any, app: Flask) -> None:
    answer = speaker.ask(app.test_client(), None)
    assert answer.status_code == 400
    assert speaker.error_of(answer)


def test_a_file_that_is_no_picture(
    speaker: Any, app: Flask, connection: redis.Redis, settings: Settings
) -> None:
    answer = speaker.ask(app.test_client(), b"%PDF-1.7 and so on")
    assert answer.status_code == 400
    assert speaker.error_of(answer)
    assert remains(connection, settings) == []


def test_a_damaged_picture_that_only_the_worker_finds_out(
    speaker: Any, app: Flask, while_working: While, connection: redis.Redis, settings: Settings
) -> None:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(file, "JPEG")
    answer = while_working(lambda: speaker.ask(app.test_client(), file.getvalue()[:6000]))
    assert answer.status_code == 400
    assert speaker.error_of(answer)
    assert remains(connection, settings) == []


def test_a_picture_of_too_many_bytes(speaker: Any, settings: Settings, connection: redis.Redis) -> None:
    app = create_app(settings.model_copy(update={"max_upload_mb": 0.1}), connection=connection)
    for size in (200_000, 3_000_000):  # a request of its size is accepted; one that is refused by its length
        answer = speaker.ask(app.test_client(), b"\xff\xd8\xff" + bytes(size))
        assert answer.status_code == 413
        assert "MB" in speaker.error_of(answer)


def test_a_picture_of_too_many_pixels(
    speaker: Any, settings: Settings, connection: redis.Redis, jpeg: bytes
) -> None:
    app = create_app(settings.model_copy(update={"max_megapixels": 0.001}), connection=connection)
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == 413
    assert "million pixels" in speaker.error_of(answer)


@pytest.mark.parametrize("model", ["no-such-model", "mask-rcnn-r50-fpn"])
@pytest.mark.parametrize(
    "speaker", ["deepstack", "doods", "kserve", "cvat", "roboflow", "huggingface"], indirect=True
)
def test_a_model_that_is_not_there(speaker: Any, app: Flask, jpeg: bytes, model: str) -> None:
    answer = speaker.ask(app.test_client(), jpeg, model=model)
    assert answer.status_code == (400 if speaker.name == "doods" else 404)
    assert model in speaker.error_of(answer)


def test_a_full_queue(
    speaker: Any, settings: Settings, connection: redis.Redis, jpeg: bytes, small: bytes
) -> None:
    settings = settings.model_copy(update={"max_queue": 1})
    app = create_app(settings, connection=connection)
    app.extensions["flask-detector"].accept(io.BytesIO(small), filename=None)
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "waiting" in speaker.error_of(answer)


def test_a_redis_that_can_not_be_reached(speaker: Any, settings: Settings, jpeg: bytes) -> None:
    with socket.socket() as probe:  # bound, but nobody listens
        probe.bind(("127.0.0.1", 0))
        nowhere = redis.Redis(port=probe.getsockname()[1], retry=Retry(NoBackoff(), 0))
        answer = speaker.ask(create_app(settings, connection=nowhere).test_client(), jpeg)
    assert answer.status_code == 503
    assert "Redis" in speaker.error_of(answer)


def test_a_detection_that_takes_too_long(
    speaker: Any, settings: Settings, connection: redis.Redis, jpeg: bytes
) -> None:
    app = create_app(settings.model_copy(update={"compat_timeout": 0.05}), connection=connection)
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == (500 if speaker.name == "deepstack" else 504)
    assert speaker.error_of(answer)
    assert remains(connection, settings) == []


def test_clients_do_not_wait_long_where_nobody_works(
    speaker: Any, app: Flask, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_detector.web.compat.detect._PATIENCE_SECONDS", 0.05)
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == 503
    assert "No worker" in speaker.error_of(answer)


def test_keys_are_asked_for_where_the_settings_say_so(
    speaker: Any, settings: Settings, connection: redis.Redis, jpeg: bytes
) -> None:
    settings = settings.model_copy(update={"require_keys": True, "compat_timeout": 0.05})
    app = create_app(settings, connection=connection)
    _, key = Keys(connection).create("camera")
    for wrong in (None, "secret", f"{key[:-1]}{'A' if key[-1] != 'A' else 'B'}"):
        answer = speaker.ask(app.test_client(), jpeg, key=wrong)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert speaker.error_of(answer)
    assert speaker.ask(app.test_client(), jpeg, key=key).status_code in {500, 504}  # it is let in, and waits


def test_whoever_is_told_to_bring_a_key_is_told_how(settings: Settings, connection: redis.Redis) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True}), connection=connection)
    closed = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = app.test_client().open(path, method=method)
            assert (answer.status_code == 401) == ("WWW-Authenticate" in answer.headers), (method, path)
            if answer.status_code == 401:
                closed.add(rule.endpoint.partition(".")[0])
    assert {"api", *CLIENTS} <= closed


def test_the_headers_of_the_api_open_too(speaker: Any, settings: Settings, connection: redis.Redis) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True}), connection=connection)
    _, key = Keys(connection).create("camera")
    request = speaker.request(None, None, "nanodet-g")
    request["headers"] = {**request.get("headers", {}), "X-API-Key": key}
    assert (
        app.test_client().post(request.pop("path"), **request).status_code == 400
    )  # let in, without a picture


def test_others_keys_do_no_harm_where_none_is_asked_for(speaker: Any, app: Flask) -> None:
    assert speaker.ask(app.test_client(), None, key="hf_of_another_service").status_code == 400


def test_too_many_requests(speaker: Any, settings: Settings, connection: redis.Redis) -> None:
    app = create_app(settings.model_copy(update={"rate_limit": "1/hour"}), connection=connection)
    assert speaker.ask(app.test_client(), None).status_code == 400
    answer = speaker.ask(app.test_client(), None)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert speaker.error_of(answer)


def test_a_key_that_is_no_text_is_counted_like_none(settings: Settings, connection: redis.Redis) -> None:
    app = create_app(settings.model_copy(update={"rate_limit": "2/hour"}), connection=connection)
    sent = [app.test_client().post("/v1/vision/detection", json={"api_key": "\ud800"}) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [400, 400, 429]


def test_one_clients_part_of_the_queue(
    speaker: Any, settings: Settings, connection: redis.Redis, jpeg: bytes, small: bytes
) -> None:
    app = create_app(settings.model_copy(update={"max_queue_per_client": 1}), connection=connection)
    assert app.test_client().post("/api/v1/detections", data=small).status_code == 202
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "your pictures" in speaker.error_of(answer)


def test_what_is_unexpected_is_told_without_its_text(
    speaker: Any, app: Flask, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    app.config["TESTING"] = False
    monkeypatch.setattr(app.extensions["flask-detector"], "accept", fail)
    answer = speaker.ask(app.test_client(), jpeg)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert speaker.error_of(answer)


_NAMES = ("api_key", "data", "image", "inputs", "label_config", "model_id", "url")
HALF_A_PAIR = json.dumps(
    dict.fromkeys(_NAMES, "\ud800") | {"tasks": [{"id": 1, "data": {"image": "\ud800"}}]}
).encode()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"image": {}}', HALF_A_PAIR],
)
def test_bodies_that_are_not_what_was_agreed(speaker: Any, app: Flask, body: bytes) -> None:
    request = speaker.request(None, None, "nanodet-g")
    for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary=b", "text/plain"):
        sent = app.test_client().post(request["path"], data=body, content_type=kind)
        assert sent.status_code == 400
        assert speaker.error_of(sent)


def test_what_is_switched_off_is_not_there(speaker: Any, settings: Settings, connection: redis.Redis) -> None:
    rest = ",".join(name for name in CLIENTS if name != speaker.name)
    app = create_app(settings.model_copy(update={"compat": rest}), connection=connection)
    path = speaker.request(None, None, "nanodet-g")["path"]
    assert path not in {rule.rule for rule in app.url_map.iter_rules()}
    assert speaker.name not in app.blueprints
    app = create_app(settings.model_copy(update={"compat": "none"}), connection=connection)
    assert speaker.ask(app.test_client(), None).status_code in {404, 405}


def remains(connection: redis.Redis, settings: Settings) -> list[str]:
    """Return what is left of detections: keys of theirs, their places in lists, and pictures.

    That one was accepted is remembered for ten minutes, by an id alone: a command may come late.
    """
    keys = [key.decode() for key in connection.scan_iter()]
    theirs = [key for key in keys if re.search("[0-9a-f]{32}", key) and not key.startswith("rq:worker:")]
    theirs = [key for key in theirs if not (":decided:" in key and 0 < connection.ttl(key) <= 600)]
    lists = [f"rq:{kind}:detections" for kind in ("queue", "wip", "finished", "failed", "canceled")]
    pictures = [str(path) for path in settings.data_dir.glob("pictures/**/*") if path.is_file()]
    return theirs + [name for name in lists if name in keys] + pictures
