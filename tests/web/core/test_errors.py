"""Errors are told as pages to browsers, and as JSON to programs."""

import pytest
from flask.testing import FlaskClient

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("method", "accept", "kind"),
    [
        ("POST", "*/*", "application/json"),  # curl, requests, axios …
        ("PUT", "*/*", "application/json"),
        ("POST", "application/json, text/plain, */*", "application/json"),
        ("POST", BROWSER, "text/html"),
        ("GET", BROWSER, "text/html"),
        ("GET", "*/*", "text/html"),
        ("GET", "application/json", "application/json"),
    ],
)
def test_whoever_sends_to_an_address_that_is_not_there_can_read_the_answer(
    client: FlaskClient, method: str, accept: str, kind: str
) -> None:
    answer = client.open("/nowhere", method=method, headers={"Accept": accept}, data=b"{}")
    assert (answer.status_code, answer.mimetype) == (404, kind)
