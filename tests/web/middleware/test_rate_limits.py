"""How many requests a program may send."""

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.api_keys import Key
from flask_detector.broker.connection import connect
from flask_detector.settings import Settings
from flask_detector.web import create_app


@pytest.fixture
def app(settings: Settings, connection: redis.Redis) -> Flask:
    limits = {"rate_limit": "3/hour", "key_rate_limit": "5/hour"}
    return create_app(settings.model_copy(update=limits), connection=connection)


def asked(client: FlaskClient, key: str | None = None) -> TestResponse:
    headers = {} if key is None else {"X-API-Key": key}
    return client.get("/api/v1/models", headers=headers)


def test_each_answer_tells_how_many_requests_are_left(client: FlaskClient) -> None:
    answers = [asked(client) for _ in range(3)]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0"]
    assert answers[0].headers["RateLimit-Limit"] == "3"
    assert 0 < int(answers[0].headers["RateLimit-Reset"]) <= 3600


def test_too_many_requests_are_refused_until_the_window_ends(client: FlaskClient) -> None:
    answers = [asked(client) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json is not None
    assert answers[3].json["error"]["code"] == "rate_limited"
    assert answers[3].headers["Retry-After"] == answers[3].headers["RateLimit-Reset"]


def test_a_key_has_a_limit_of_its_own(client: FlaskClient, app: Flask) -> None:
    _, text = app.extensions["flask-detector"].keys.create("a")
    for _ in range(4):
        asked(client)
    assert [asked(client, text).status_code for _ in range(6)] == [200] * 5 + [429]


def test_each_address_and_each_key_has_its_own_allowance(client: FlaskClient, app: Flask) -> None:
    keys = [app.extensions["flask-detector"].keys.create(name)[1] for name in "ab"]
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
        asks = [client.get("/api/v1/models", environ_base={"REMOTE_ADDR": address}) for _ in range(4)]
        assert [answer.status_code for answer in asks] == [200, 200, 200, 429], address
    for key in keys:
        assert [asked(client, key).status_code for _ in range(6)] == [200] * 5 + [429]


def test_one_who_guesses_keys_is_counted_by_the_address(client: FlaskClient) -> None:
    assert [asked(client, f"guess {n}").status_code for n in range(4)] == [401, 401, 401, 429]


def test_a_key_that_is_guessed_is_looked_up_once_to_count_and_once_to_refuse_it(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, looked_up = app.extensions["flask-detector"].keys, list[str]()
    check = keys.check

    def counting(text: str) -> Key:
        looked_up.append(text)
        key: Key = check(text)
        return key

    monkeypatch.setattr(keys, "check", counting)
    assert asked(client, "fd_0123456789ab_guess").status_code == 401
    assert len(looked_up) == 2


def test_all_operations_share_a_limit_and_pages_have_none(client: FlaskClient) -> None:
    addresses = ["models", "labels", "models", "labels"]
    assert [client.get(f"/api/v1/{one}").status_code for one in addresses] == [200, 200, 200, 429]
    assert client.get("/").status_code == 200
    assert client.get("/api/docs").status_code == 200


def test_a_limit_can_be_off(
    settings: Settings, connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings.model_copy(update={"rate_limit": "off"}), connection=connection)
    answer = asked(app.test_client())
    assert (answer.status_code, answer.headers.get("RateLimit-Limit")) == (200, None)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_redis_that_is_gone_is_503_in_our_own_form(settings: Settings) -> None:
    with connect("redis://127.0.0.1:1") as nowhere:
        answer = asked(create_app(settings, connection=nowhere).test_client())
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (503, "broker_unavailable")
    assert answer.headers["Retry-After"]
