"""What an answer tells a browser about pages of other sites."""

from collections.abc import Callable

import pytest
import redis
from flask.testing import FlaskClient

from flask_detector.settings import Settings
from flask_detector.web import create_app

SITE = "https://app.example"
PREFLIGHT = {
    "Origin": SITE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,prefer",
}


@pytest.fixture
def client_for(settings: Settings, connection: redis.Redis) -> Callable[..., FlaskClient]:
    """A function that returns a client of an installation that lists these origins."""

    def client_for(origins: str, **changes: object) -> FlaskClient:
        update = {"cors_origins": origins, **changes}
        return create_app(settings.model_copy(update=update), connection=connection).test_client()

    return client_for


@pytest.mark.parametrize("origins", [SITE, f"http://b.example, {SITE.upper()}/"])
def test_a_listed_origin_is_named_and_caches_are_told(
    client_for: Callable[..., FlaskClient], origins: str
) -> None:
    client = client_for(origins)
    for path in ("/api/v1/models", "/api/v1/nothing", "/v2/health/live", "/v1/status/ping"):
        headers = client.get(path, headers={"Origin": SITE}).headers
        assert headers["Access-Control-Allow-Origin"] == SITE
        assert headers["Access-Control-Expose-Headers"] == "*"
        assert "Access-Control-Allow-Credentials" not in headers
        assert "Origin" in headers["Vary"]
        assert "Origin" in client.get(path).headers["Vary"]


def test_any_origin_is_any(client_for: Callable[..., FlaskClient]) -> None:
    headers = client_for("*").get("/api/v1/models", headers={"Origin": "null"}).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", ["/api/v1/detections", "/v1/vision/detection", "/detect", "/predict"])
def test_a_preflight_needs_no_key_and_is_not_counted(
    client_for: Callable[..., FlaskClient], path: str
) -> None:
    client = client_for(SITE, require_keys=True, rate_limit="1/hour")
    for _ in range(3):
        answer = client.options(path, headers=PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type,prefer"
        assert int(answer.headers["Access-Control-Max-Age"]) > 600
    assert client.post(path, headers={"Origin": SITE}).status_code == 401


def test_a_preflight_for_what_is_not_there_lets_the_script_read_that(
    client_for: Callable[..., FlaskClient],
) -> None:
    client = client_for(SITE)
    assert client.options("/api/v1/nothing", headers=PREFLIGHT).status_code == 204
    answer = client.post("/api/v1/nothing", headers={"Origin": SITE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, SITE)


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ("", SITE),
        (SITE, "https://app.example.evil.example"),
        (SITE, "http://app.example"),
        (SITE, "https://app.example:8443"),
        (SITE, "null"),
    ],
)
def test_an_origin_that_is_not_listed_is_told_nothing(
    client_for: Callable[..., FlaskClient], origins: str, origin: str
) -> None:
    client = client_for(origins)
    for answer in (
        client.get("/api/v1/models", headers={"Origin": origin}),
        client.options("/api/v1/detections", headers={**PREFLIGHT, "Origin": origin}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/", "/about", "/history", "/detections", "/admin/login"])
def test_pages_which_know_a_visitor_by_a_cookie_are_for_no_other_site(
    client_for: Callable[..., FlaskClient], path: str
) -> None:
    client = client_for("*")
    for answer in (client.get(path, headers={"Origin": SITE}), client.options(path, headers=PREFLIGHT)):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
