"""Clients that send a key in their own way are counted by it; the others by their address."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask

from flask_detector.api_keys import Keys
from flask_detector.settings import Settings
from flask_detector.web import create_app

Configured = Callable[..., Flask]


@pytest.fixture
def configured(settings: Settings, connection: redis.Redis) -> Configured:
    """A function that returns an application with other settings."""

    def configured(**changes: object) -> Flask:
        return create_app(settings.model_copy(update=changes), connection=connection)

    return configured


@pytest.fixture
def keys(connection: redis.Redis) -> list[str]:
    """Two keys."""
    return [Keys(connection).create(name)[1] for name in ("camera", "door")]


@pytest.mark.parametrize("require_keys", [False, True])
def test_each_key_has_a_limit_of_its_own(
    speaker: Any, configured: Configured, keys: list[str], require_keys: bool
) -> None:
    app = configured(rate_limit="2/hour", key_rate_limit="3/hour", require_keys=require_keys)

    def asked(key: str | None, times: int) -> list[int]:
        return [speaker.ask(app.test_client(), None, key=key).status_code for _ in range(times)]

    without = 401 if require_keys else 400
    assert asked(keys[0], 4) == [400, 400, 400, 429]
    assert asked(None, 3) == [without, without, 429]
    assert asked(keys[1], 4) == [400, 400, 400, 429]


def test_keys_of_other_services_are_counted_by_the_address(speaker: Any, configured: Configured) -> None:
    app = configured(rate_limit="2/hour", key_rate_limit="off")
    guesses = [speaker.ask(app.test_client(), None, key=f"guess-{n}").status_code for n in range(3)]
    assert guesses == [400, 400, 429]


@pytest.mark.parametrize("body", [b"{", b"--b\r\ncut short", b""])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b", "text/plain"])
def test_what_can_not_be_read_is_counted_and_told_as_ever(
    speaker: Any, configured: Configured, body: bytes, kind: str
) -> None:
    app = configured(rate_limit="2/hour")
    path = speaker.request(None, None, "nanodet-g")["path"]
    answers = [app.test_client().post(path, data=body, content_type=kind) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert speaker.error_of(answers[0]) == speaker.error_of(answers[1])


def test_a_body_that_is_too_large_is_counted_and_told_as_ever(
    speaker: Any, configured: Configured, keys: list[str]
) -> None:
    app = configured(rate_limit="1/hour", max_upload_mb=0.1)
    picture = b"\xff\xd8\xff" + bytes(3_000_000)
    answers = [speaker.ask(app.test_client(), picture) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [413, 429]


def test_a_key_has_a_part_of_the_queue_of_its_own(
    speaker: Any, configured: Configured, keys: list[str], jpeg: bytes, small: bytes
) -> None:
    app = configured(max_queue_per_client=1, compat_timeout=0.05)
    assert app.test_client().post("/api/v1/detections", data=small).status_code == 202
    assert speaker.ask(app.test_client(), jpeg).status_code == 429
    let_in = {500, 504}  # there it waits for a worker
    assert speaker.ask(app.test_client(), jpeg, key=keys[0]).status_code in let_in
    headers = {"X-API-Key": keys[0]}
    taken = app.test_client().post("/api/v1/detections", data=small, headers=headers)
    assert taken.status_code == 202
    assert speaker.ask(app.test_client(), jpeg, key=keys[0]).status_code == 429
    assert speaker.ask(app.test_client(), jpeg, key=keys[1]).status_code in let_in
