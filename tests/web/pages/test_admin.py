"""The operator's page: behind an administrator's key, without names or whole ids, with safe actions."""

import io
import re
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.api_keys import Keys, Scope
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.states import TRIES, JobStatus

Upload = Callable[..., TestResponse]


@pytest.fixture
def key(connection: redis.Redis) -> str:
    return Keys(connection).create("the operator", Scope.ADMIN)[1]


def form_token(client: FlaskClient, path: str) -> str:
    match = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert match is not None
    return match[1]


def sign_in(client: FlaskClient, key: str) -> TestResponse:
    token = form_token(client, "/admin/login")
    return client.post("/admin/login", data={"csrf_token": token, "key": key})


@pytest.fixture
def operator(client: FlaskClient, key: str) -> FlaskClient:
    assert sign_in(client, key).headers["Location"] == "/admin"
    return client


def test_without_a_session_there_is_only_the_form(client: FlaskClient) -> None:
    assert client.get("/admin").headers["Location"] == "/admin/login"
    token = form_token(client, "/admin/login")
    for action in ("retry", "empty", "logout"):
        response = client.post(f"/admin/{action}", data={"csrf_token": token})
        assert response.headers["Location"] == "/admin/login"


def test_a_wrong_key_and_one_for_the_api_alone_are_refused(
    client: FlaskClient, connection: redis.Redis
) -> None:
    _, for_the_api = Keys(connection).create("a program", Scope.USE)
    for wrong in ("", "nonsense", "fd_0123456789ab_" + "A" * 43, for_the_api):
        response = sign_in(client, wrong)
        assert response.status_code == 403
        assert "operator=" not in str(response.headers.getlist("Set-Cookie"))
        assert wrong == "" or wrong not in response.text


def test_the_session_is_a_cookie_for_these_pages_alone_and_for_an_hour(client: FlaskClient, key: str) -> None:
    (cookie,) = [c for c in sign_in(client, key).headers.getlist("Set-Cookie") if c.startswith("operator=")]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age=3600"):
        assert part in cookie
    assert key not in cookie


def test_signing_in_makes_a_new_session_whatever_cookie_was_there(client: FlaskClient, key: str) -> None:
    client.set_cookie("operator", "chosen-by-somebody-else", path="/admin")
    sign_in(client, key)
    cookie = client.get_cookie("operator", path="/admin")
    assert cookie is not None
    assert cookie.value != "chosen-by-somebody-else"


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(operator: FlaskClient, app: Flask) -> None:
    cookie = operator.get_cookie("operator", path="/admin")
    assert cookie is not None
    operator.post("/admin/logout", data={"csrf_token": form_token(operator, "/admin")})
    thief = app.test_client()
    thief.set_cookie("operator", cookie.value, path="/admin")
    assert thief.get("/admin").status_code == 303


def test_revoking_the_key_ends_its_sessions(operator: FlaskClient, connection: redis.Redis) -> None:
    assert operator.get("/admin").status_code == 200
    keys = Keys(connection)
    keys.revoke(keys.list()[0].id)
    assert operator.get("/admin").headers["Location"] == "/admin/login"


def test_it_shows_what_waits_and_what_failed_but_no_name_and_no_whole_id(
    operator: FlaskClient, upload: Upload, work_off: Callable[[], None], jpeg: bytes
) -> None:
    damaged = upload(jpeg[:-40], "a secret name.jpg").headers["Location"].rpartition("/")[2]
    work_off()
    waiting = upload(jpeg, "another secret.jpg").headers["Location"].rpartition("/")[2]
    page = operator.get("/admin")
    assert page.headers["Cache-Control"] == "no-store"
    assert waiting[:8] in page.text
    assert damaged[:8] in page.text
    assert "damaged_picture" in page.text
    assert "No worker has reported" in page.text
    assert "secret" not in page.text
    assert waiting not in page.text
    assert damaged not in page.text


def test_what_failed_for_another_reason_than_its_picture_can_be_tried_again(
    operator: FlaskClient,
    app: Flask,
    upload: Upload,
    work_off: Callable[[], None],
    jpeg: bytes,
    connection: redis.Redis,
) -> None:
    jobs: Jobs = app.extensions["flask-detector"].jobs
    damaged = upload(jpeg[:-40]).headers["Location"].rpartition("/")[2]
    unlucky = upload(jpeg).headers["Location"].rpartition("/")[2]
    storage = app.extensions["flask-detector"].storage
    picture = storage.get(unlucky, "original")
    storage.delete(unlucky)
    work_off()
    assert jobs.find(unlucky).status is JobStatus.FAILED
    storage.put(unlucky, "original", io.BytesIO(picture))
    response = operator.post("/admin/retry", data={"csrf_token": form_token(operator, "/admin")})
    assert response.headers["Location"] == "/admin?retried=1"
    assert "1 picture queued again" in operator.get("/admin?retried=1").text
    record = jobs.find(unlucky)
    assert (record.status, record.failure) == (JobStatus.QUEUED, None)
    job = jobs.queue.fetch_job(unlucky)
    assert job is not None
    assert job.retries_left == TRIES - 1
    work_off()
    assert jobs.find(unlucky).status is JobStatus.DONE
    assert jobs.find(damaged).status is JobStatus.FAILED


def test_emptying_the_queue_cancels_what_waits_and_its_pages_say_so(
    operator: FlaskClient, app: Flask, upload: Upload, jpeg: bytes
) -> None:
    addresses = [upload(jpeg).headers["Location"] for _ in range(3)]
    response = operator.post("/admin/empty", data={"csrf_token": form_token(operator, "/admin")})
    assert response.headers["Location"] == "/admin?cancelled=3"
    jobs: Jobs = app.extensions["flask-detector"].jobs
    assert jobs.queue.count == 0
    for address in addresses:
        assert jobs.find(address.rpartition("/")[2]).status is JobStatus.CANCELLED
        assert operator.get(address).status_code == 200
