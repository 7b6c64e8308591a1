"""Keeping detections, and the list of collections, by a browser."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

JSON = {"Accept": "application/json"}


@pytest.fixture
def detection(
    upload: Callable[..., TestResponse], work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> str:
    """The path of a detection with chairs in it."""
    path = upload(shared_pictures["apartment.jpg"], "狐 & Co.jpg").headers["Location"]
    work_off()
    return path


@pytest.fixture
def keep(client: FlaskClient, token: Callable[[], str]) -> Callable[..., TestResponse]:
    """A function that keeps a detection; by default in a new collection."""

    def keep(detection: str, query: str = "", **fields: str) -> TestResponse:
        form = {"csrf_token": token(), "id": detection.rpartition("/")[2], "name": "Räume", **fields}
        return client.post(f"/collections/keep?{query}", data=form, headers=JSON)

    return keep


def test_keeping_is_one_step_and_says_where(
    client: FlaskClient, detection: str, keep: Callable[..., TestResponse]
) -> None:
    assert "Keep in a new collection" in client.get(detection).text
    kept = keep(detection).json
    assert kept is not None
    assert (kept["name"], kept["pictures"], kept["added"], kept["left_out"]) == ("Räume", 1, 1, [])
    page = client.get(kept["url"]).text
    assert "狐 &amp; Co.jpg" in page
    assert "2&nbsp;chairs" in page
    again = keep(detection, collection=kept["url"].rpartition("/")[2]).json
    assert again is not None
    assert (again["pictures"], again["added"]) == (1, 0)
    assert ">Räume</button>" in client.get(detection).text
    listed = client.get("/collections").text
    assert "0 verified, 0 edited, 1 unseen" in listed


def test_what_the_page_shows_is_what_is_kept(
    client: FlaskClient, detection: str, keep: Callable[..., TestResponse]
) -> None:
    kept = keep(detection, "score=0.6&off=couch").json
    assert kept is not None
    assert "2&nbsp;chairs</span>" in client.get(kept["url"]).text


def test_others_see_nothing_of_it(
    app: Flask,
    detection: str,
    keep: Callable[..., TestResponse],
    token_of: Callable[[FlaskClient], str],
) -> None:
    kept = keep(detection).json
    assert kept is not None
    other = app.test_client()
    assert other.get(kept["url"]).status_code == 404
    assert "Räume" not in other.get("/collections").text
    form = {"csrf_token": token_of(other), "id": detection.rpartition("/")[2], "name": "Mine"}
    assert other.post("/collections/keep", data=form, headers=JSON).status_code == 404
    form["collection"] = kept["url"].rpartition("/")[2]
    assert other.post("/collections/keep", data=form, headers=JSON).status_code == 404


def test_what_can_not_be_kept_is_said(
    client: FlaskClient, token: Callable[[], str], upload: Callable[..., TestResponse], jpeg: bytes,
    keep: Callable[..., TestResponse],
) -> None:  # fmt: skip
    waiting = upload(jpeg).headers["Location"]
    kept = keep(waiting).json
    assert kept is not None
    assert (kept["pictures"], kept["left_out"]) == (0, ["picture.jpg: Not detected yet."])
    nameless = keep(waiting, name=" ")
    assert nameless.status_code == 400
    nothing = client.post("/collections/keep", data={"csrf_token": token(), "name": "A"}, headers=JSON)
    assert nothing.status_code == 400
    assert client.post("/collections/keep", data={"name": "A"}, headers=JSON).status_code == 400, "no token"
