import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse

from flask_detector.jobs import deletions as module
from flask_detector.settings import Settings
from flask_detector.web.core.service import service

pytestmark = pytest.mark.slow

HTML = {"Accept": "text/html"}
NAMES = ("apartment.jpg", "улица.jpg", "写真.png")


@pytest.fixture
def sent(
    client: FlaskClient,
    token: Callable[[], str],
    shared_pictures: dict[str, bytes],
    jpeg: bytes,
    work_off: Callable[[], None],
) -> list[str]:
    """The ids of two pictures of one batch, and of one sent alone, all of them done; the newest first."""
    pictures = dict(zip(NAMES, [*shared_pictures.values(), jpeg], strict=True))
    for names in (NAMES[:2], NAMES[2:]):
        files = [("picture", FileStorage(io.BytesIO(pictures[name]), name)) for name in names]
        form: MultiDict[str, Any] = MultiDict([("csrf_token", token()), *files])
        assert client.post("/detections", data=form, headers=HTML).status_code == 303
    work_off()
    with client.application.app_context():
        (key,) = cast(Iterator[bytes], service().connection.scan_iter("flask-detector:history:*"))
        return [one.id for one in service().listing.of_owner(key.decode().rpartition(":")[2])]


@pytest.fixture
def post(client: FlaskClient, token: Callable[[], str]) -> Callable[..., TestResponse]:
    """A function that sends a form of the history, as a browser without scripts does."""

    def post(path: str, **fields: Any) -> TestResponse:
        return client.post(path, data={"csrf_token": token(), **fields}, headers=HTML)

    return post


Post = Callable[..., TestResponse]


def names(page: str) -> list[str]:
    return re.findall(r'class="record-name">([^<]*)<', page)


def undo_of(page: str) -> str:
    return unescape(re.findall(r'action="([^"]*/history/undo/[^"]*)"', page)[0])


def test_the_history_shows_each_picture_or_batch_with_its_model_time_and_boxes(
    client: FlaskClient, sent: list[str]
) -> None:
    page = client.get("/history").text
    assert names(page) == ["写真.png", "apartment.jpg"]
    assert "+ 1 more" in page
    assert page.count("nanodet-g</span>") == 2
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT', page)
    assert "record-boxes" in page
    assert re.search(r'href="/batches/[0-9a-f]{32}"', page)
    found = client.get("/history?q=улица").text
    assert names(found) == ["улица.jpg"]
    assert "1 of 3 pictures" in found
    assert 'aria-label="The batch of улица.jpg"' in found
    assert names(client.get("/history?label=chair").text) == ["apartment.jpg"]
    assert "No picture is found" in client.get("/history?q=zebra").text


def test_what_is_selected_is_deleted_at_once_and_is_back_where_it_was_when_undone(
    client: FlaskClient, sent: list[str], post: Post
) -> None:
    before = names(client.get("/history").text)
    batch = re.findall(r'value="([0-9a-f]{32})"', client.get("/history").text)[1]
    gone = post("/history/delete?back=/history?page%3D1", id=[sent[0], batch])
    assert (gone.status_code, gone.headers["Location"]) == (303, "/history?page=1")
    page = client.get("/history").text
    assert names(page) == []
    assert "写真.png</span> and 2 more deleted" in page
    assert [client.get(f"/detections/{id}").status_code for id in sent] == [410] * 3
    back = post(undo_of(page))
    assert (back.status_code, back.headers["Location"]) == (303, "/history")
    assert names(client.get("/history").text) == before
    assert [client.get(f"/detections/{id}/picture").status_code for id in sent] == [200] * 3


def test_all_that_a_search_finds_can_be_selected(client: FlaskClient, sent: list[str], post: Post) -> None:
    post("/history/delete?q=jpg", all="all")
    assert names(client.get("/history").text) == ["写真.png"]
    post("/history/delete", all="all")
    assert names(client.get("/history").text) == []


def test_what_is_selected_is_exported_above_the_score_that_was_chosen(
    client: FlaskClient, sent: list[str], post: Post
) -> None:
    def labels(**fields: Any) -> list[str]:
        archive = zipfile.ZipFile(io.BytesIO(post("/history/export/csv.zip", **fields).data))
        return [row["label"] for row in csv.DictReader(io.StringIO(archive.read("detections.csv").decode()))]

    usual, strict = labels(all="all"), labels(all="all", score="0.6")
    assert 0 < len(strict) < len(usual)
    assert set(labels(id=sent)) == set(usual)
    everything = post("/history/export/everything.zip", id=sent[:2])
    folders = {Path(name).parts[0] for name in zipfile.ZipFile(io.BytesIO(everything.data)).namelist()}
    assert len(folders) == 2
    assert post("/history/export/exe.zip", all="all").status_code == 404


def test_a_form_that_selects_nothing_or_what_is_others_or_gone_says_so(
    app: Flask, client: FlaskClient, sent: list[str], post: Post, token_of: Callable[[FlaskClient], str]
) -> None:
    nothing = post("/history/delete")
    assert nothing.status_code == 400
    assert "No picture is selected" in nothing.text
    stranger = app.test_client()
    page = client.get("/history").text
    for id in [*sent, *re.findall(r'value="([0-9a-f]{32})"', page), "0" * 32, "ф", "*"]:
        form = {"csrf_token": token_of(stranger), "id": id}
        assert stranger.post("/history/delete", data=form).status_code == 404
        assert stranger.post("/history/export/csv.zip", data=form).status_code == 404
    assert client.get("/history").text.count("record-name") == 2


def test_a_deletion_can_be_undone_by_its_browser_alone_and_not_when_it_is_too_late(
    app: Flask,
    client: FlaskClient,
    sent: list[str],
    post: Post,
    token_of: Callable[[FlaskClient], str],
    settings: Settings,
    work_off: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "UNDO_SECONDS", 0)
    monkeypatch.setattr(module, "_GRACE_SECONDS", 1000)
    post(f"/detections/{sent[0]}/delete")
    assert "deleted</span>" not in client.get("/history").text, "it is not offered any more"
    with app.app_context():
        (id,) = cast(list[bytes], service().connection.zrange("flask-detector:deletions", 0, -1))
        undo = f"/history/undo/{id.decode()}"
    stranger = app.test_client()
    assert stranger.post(undo, data={"csrf_token": token_of(stranger)}).status_code == 410
    assert post(undo).status_code == 303, "but a click in the last moment counts"
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0)
    post("/history/delete", all="all")
    work_off()
    late = post(undo)
    assert late.status_code == 410
    assert "too late" in late.text
    assert [path for path in (settings.data_dir / "pictures").rglob("*") if path.is_file()] == []


def test_a_card_that_another_tab_has_deleted_leads_back_and_can_still_be_undone(
    client: FlaskClient, sent: list[str], post: Post
) -> None:
    alone, _, first = sent
    post(f"/detections/{first}/delete")
    page = client.get(f"/detections/{first}")
    assert page.status_code == 410
    assert re.search(r'<a class="button" href="/batches/[0-9a-f]{32}">Back to its batch</a>', page.text)
    again = post(f"/detections/{first}/delete?back=/history?q%3Dapartment")
    assert (again.status_code, again.headers["Location"]) == (303, "/history?q=apartment")
    back = post(undo_of(page.text))
    assert back.headers["Location"] == f"/detections/{first}"
    assert client.get(f"/detections/{first}").status_code == 200
    post(f"/detections/{alone}/delete")
    assert '<a class="button" href="/history">History</a>' in client.get(f"/detections/{alone}").text


def test_a_result_leads_back_to_the_page_of_the_history_that_led_to_it(
    client: FlaskClient, sent: list[str], post: Post
) -> None:
    came = {"Referer": "http://localhost/history?q=apartment&page=1"}
    page = client.get(f"/detections/{sent[2]}", headers=came).text
    assert '<a class="button quiet" href="/history?q=apartment&amp;page=1"><svg' in page
    action = unescape(re.findall(r'action="([^"]*/delete[^"]*)"', page)[0])
    assert post(action).headers["Location"] == "/history?q=apartment&page=1"
    for other in ("http://example.com/history", "http://localhost/about", "http://localhost/historyx", ""):
        page = client.get(f"/detections/{sent[1]}", headers={"Referer": other}).text
        assert '<a class="button quiet" href="/history' not in page


def test_a_form_leads_back_to_no_other_site(client: FlaskClient, sent: list[str], post: Post) -> None:
    for back in ("http://example.com", "//example.com", "/\\example.com", "javascript:0", ""):
        gone = post(f"/history/delete?back={back}", all="all")
        assert gone.headers["Location"] == "/history"
        post(undo_of(client.get("/history").text))
