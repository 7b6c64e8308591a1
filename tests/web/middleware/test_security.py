"""What the application refuses, and what every answer says to a browser."""

import re
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from flask_detector.collections.documents import Rights
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.middleware.security import cookie_name

Upload = Callable[..., TestResponse]

FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Prefix": "/prefix",
}


@pytest.fixture
def client_with(settings: Settings, connection: redis.Redis) -> Callable[..., FlaskClient]:
    """A function that returns a client of the application with some settings changed."""

    def client_with(**changes: object) -> FlaskClient:
        return create_app(settings.model_copy(update=changes), connection=connection).test_client()

    return client_with


@pytest.mark.parametrize("path", ["/", "/about", "/history", "/nothing", "/healthz", "/api/v1/models"])
def test_every_answer_has_the_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "microphone=()" in headers["Permissions-Policy"]


def test_an_asset_has_the_headers_that_are_for_it_and_one_that_is_not_there_is_a_page(
    client: FlaskClient,
) -> None:
    path = re.findall(r'href="(/static/[^"]*variables.css)"', client.get("/").text)[0]
    with client.get(path) as response:
        headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Content-Security-Policy" not in headers
    assert "default-src 'none'" in client.get(f"{path}x").headers["Content-Security-Policy"]


def test_the_cookie_goes_to_no_script_and_to_no_other_site(client: FlaskClient) -> None:
    cookie = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert "Domain" not in cookie


def test_behind_tls_the_cookie_needs_tls_and_the_browser_is_told_to_stay_with_it(client: FlaskClient) -> None:
    response = client.get("/", base_url="https://localhost")
    assert "Secure" in response.headers["Set-Cookie"]
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in client.get("/").headers


def test_forwarded_headers_are_not_believed_by_themselves(client: FlaskClient) -> None:
    response = client.get("/", headers=FORWARDED)
    assert "Strict-Transport-Security" not in response.headers
    assert "elsewhere.example" not in response.text
    assert 'href="/prefix' not in response.text


def test_one_trusted_proxy_is_believed_and_what_was_there_before_it_is_not(
    client_with: Callable[..., FlaskClient],
) -> None:
    client = client_with(trusted_proxies=1, trusted_hosts="real.example", metrics="auto")
    headers = {**FORWARDED, "X-Forwarded-Host": "evil.example, real.example"}
    response = client.get("/", headers=headers)
    assert response.status_code == 200
    assert "Strict-Transport-Security" in response.headers
    assert 'href="/prefix' in response.text
    assert client.get("/", headers={"X-Forwarded-Host": "real.example, evil.example"}).status_code == 400
    # Whoever says to come from this machine, before the proxy, does not.
    spoofed = {"X-Forwarded-For": "127.0.0.1, 203.0.113.9", "X-Forwarded-Host": "real.example"}
    assert client.get("/metrics", headers=spoofed).status_code == 401


def test_behind_two_proxies_one_of_them_may_alone_say_how_people_come(
    client_with: Callable[..., FlaskClient],
) -> None:
    client = client_with(trusted_proxies=2, trusted_hosts="real.example,inner.example")
    alone = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "real.example", "X-Forwarded-Prefix": "/a"}
    added = {
        "X-Forwarded-Proto": "gopher, https, http",
        "X-Forwarded-Host": "evil.example, real.example, inner.example",
        "X-Forwarded-Prefix": "/c, /a, /b",
    }
    for headers in (alone, added):
        page = client.get("/about", headers={"X-Forwarded-For": "203.0.113.9, 10.0.0.1", **headers}).text
        assert "https://real.example/a/api/v1/detections" in page


@pytest.mark.parametrize("sent", ["/prefix/", "prefix", "//prefix", " /prefix "])
def test_a_prefix_may_have_slashes_around_it_or_not(
    client_with: Callable[..., FlaskClient], sent: str
) -> None:
    answer = client_with(trusted_proxies=1).get("/", headers={"X-Forwarded-Prefix": sent})
    assert 'href="/prefix/about"' in answer.text
    assert "Path=/prefix;" in f"{answer.headers['Set-Cookie']};"


def test_a_prefix_of_a_slash_is_none(client_with: Callable[..., FlaskClient]) -> None:
    answer = client_with(trusted_proxies=1).get("/", headers={"X-Forwarded-Prefix": "/"})
    assert 'href="/about"' in answer.text
    assert "Path=/;" in f"{answer.headers['Set-Cookie']};"


def test_a_foreign_host_name_is_refused_on_a_server_for_this_machine_alone(client: FlaskClient) -> None:
    for host in ("rebound.example", "rebound.example:5000", "localhost.evil.example", "127.0.0.1.evil.org"):
        response = client.get("/", headers={"Host": host})
        assert response.status_code == 400, host
        assert "evil" not in response.text
    for host in ("localhost", "127.0.0.1:5000", "[::1]:5000", "LOCALHOST"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host


def test_the_refusal_of_a_host_says_which_setting_decides(client: FlaskClient) -> None:
    response = client.get("/api/v1/models", headers={"Host": "rebound.example"})
    assert response.json is not None
    assert "DETECTOR_TRUSTED_HOSTS" in response.json["error"]["hint"]
    assert "DETECTOR_TRUSTED_HOSTS" in client.get("/", headers={"Host": "rebound.example"}).text


def test_the_host_check_can_be_widened(client_with: Callable[..., FlaskClient]) -> None:
    client = client_with(trusted_hosts="a.example,.b.example")
    allowed = {"a.example": 200, "x.b.example": 200, "localhost": 400, "a.example.c": 400}
    assert {host: client.get("/", headers={"Host": host}).status_code for host in allowed} == allowed
    assert client_with(trusted_hosts="*").get("/", headers={"Host": "x.example"}).status_code == 200


def _changes(app: Flask, ids: dict[str, str]) -> list[tuple[str, str]]:
    """Return method and address of each rule that changes something by a browser's cookie.

    ids: to stand in an address that begins so; of several, the first one.
    """
    exempt = {one.name for one in app.extensions["csrf"]._exempt_blueprints}  # those that use no cookie
    return [
        (method, re.sub("<[^>]+>", id, re.sub(r"<any\((\w+).*?>", r"\1", rule.rule)))
        for rule in app.url_map.iter_rules()
        for id in [next(id for start, id in ids.items() if rule.rule.startswith(start))]
        for method in (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}
        if rule.endpoint.rpartition(".")[0] not in exempt
    ]


def test_nothing_is_changed_without_the_form_token(
    client: FlaskClient, app: Flask, upload: Upload, jpeg: bytes, token: Callable[[], str]
) -> None:
    detection = upload(jpeg).headers["Location"].rpartition("/")[2]
    made = client.post("/collections", data={"csrf_token": token(), "name": "a"})
    collection = made.headers["Location"].rpartition("/")[2]
    link = app.extensions["flask-detector"].collections.share(collection, Rights.EDIT)
    changes = _changes(app, {"/collections/": collection, "/shared/collections/": link, "/": detection})
    assert {path.split("/")[1] for _, path in changes} >= {"detections", "collections", "shared", "admin"}
    for method, path in changes:
        response = client.open(path, method=method, headers={"Accept": "application/json"})
        assert (response.status_code, response.json and response.json["error"]["code"]) == (
            400,
            "bad_form_token",
        ), (method, path)


def test_another_visitors_detection_looks_like_one_that_never_was(
    client: FlaskClient, app: Flask, upload: Upload, jpeg: bytes
) -> None:
    address = upload(jpeg).headers["Location"]
    stranger = app.test_client()
    files = ("/picture", "/thumbnail", "/drawn", "/download", "/result.json", "/exports/csv")
    for suffix in ("", "/state", *files):
        foreign = stranger.get(address + suffix)
        unknown = stranger.get(f"/detections/{'0' * 32}{suffix}")
        assert foreign.status_code == unknown.status_code == 404
        ids = re.compile(r"[0-9a-f]{32}")
        assert ids.sub("", foreign.text) == ids.sub("", unknown.text)


def test_a_session_that_somebody_else_made_up_is_not_taken_over(app: Flask) -> None:
    client = app.test_client()
    client.set_cookie(app.config["SESSION_COOKIE_NAME"], "eyJ2aXNpdG9yIjoiZXZpbCJ9.aaaaaa.forged")
    client.get("/history")
    with client.session_transaction() as session:
        assert session["visitor"] != "evil"


def test_two_installations_on_one_host_do_not_take_each_others_sessions() -> None:
    assert cookie_name("one key") == cookie_name("one key") != cookie_name("another key")


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/detections/..%2f..%2fsecret_key",
        "/detections/../../secret_key/picture",
        "/shared/..%2f..%2fsecret_key/picture",
        "/api/v1/detections/..%2f..%2fsecret_key",
    ],
)
def test_no_address_leads_out_of_its_folder(client: FlaskClient, path: str, settings: Settings) -> None:
    client.get("/")  # the secret key is there now
    response = client.get(path)
    assert response.status_code == 404
    assert (settings.data_dir / "secret_key").read_text() not in response.text


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example/..", "/\\evil.example", "///evil.example"]
)
def test_no_address_sends_a_browser_to_another_site(client: FlaskClient, path: str) -> None:
    response = client.get("/", environ_overrides={"PATH_INFO": path})
    location = response.headers.get("Location", "/")
    assert location.startswith(("/", "http://localhost/"))
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    "name",
    [
        "a%0D%0ASet-Cookie: x=1.jpg",
        "a\x0bb\x1f.jpg",
        'a\\"; filename=b.html',
        "a\u2028b.jpg",
        "../../../etc/passwd",
        "\u202egpj.exe",
        "é🦄.jpg",
    ],
)
def test_a_file_name_splits_no_header_and_leaves_no_folder(
    client: FlaskClient, upload: Upload, jpeg: bytes, work_off: Callable[[], None], name: str
) -> None:
    address = upload(jpeg, name).headers["Location"]
    work_off()
    for suffix in ("/download", "/exports/json"):
        response = client.get(address + suffix)
        assert response.status_code == 200
        disposition = response.headers["Content-Disposition"]
        assert disposition.startswith("attachment")
        assert not re.search(r"[\r\n]", disposition)
        assert "/" not in disposition.replace("UTF-8''", "")
        assert "x=1" not in response.headers.get("Set-Cookie", "")


def test_what_belongs_to_a_visitor_is_kept_by_no_shared_cache(
    client: FlaskClient, upload: Upload, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    address = upload(jpeg).headers["Location"]
    work_off()
    files = ("/picture", "/thumbnail", "/drawn", "/download", "/result.json", "/exports/csv")
    for suffix in ("", "/state", *files):
        control = client.get(address + suffix).headers["Cache-Control"]
        assert "no-store" in control or "private" in control, suffix
    for path in ("/", "/history", "/about"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


def test_no_setting_and_no_key_shows_in_a_representation(settings: Settings) -> None:
    secret = Settings(
        data_dir=settings.data_dir,
        secret_key=SecretStr("hush-hush"),
        redis_url="redis://:hush-hush@localhost/0",
    )
    assert "hush-hush" not in repr(secret)
    assert "hush-hush" not in str(secret)
