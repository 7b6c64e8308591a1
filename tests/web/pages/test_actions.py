import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.detectors import MAIN_MODEL, MODELS
from flask_detector.settings import Settings
from flask_detector.web.core.service import service

Upload = Callable[..., TestResponse]


def test_another_installed_model_can_be_asked_about_the_same_picture(
    upload: Upload,
    client: FlaskClient,
    token: Callable[[], str],
    work_off: Callable[[], None],
    settings: Settings,
    pictures: Path,
) -> None:
    result = upload((pictures / "park.jpg").read_bytes(), "my park.jpg", model="nanodet-g").headers[
        "Location"
    ]
    work_off()
    assert "Detect again with" not in client.get(result).text, "there is no other model"
    file = settings.data_dir / "models" / MAIN_MODEL / MODELS[MAIN_MODEL].source.file_name
    file.parent.mkdir(parents=True)
    file.touch()
    page = client.get(result).text
    assert re.findall(r"<option>(.*)</option>", page) == [MAIN_MODEL]
    form = {"csrf_token": token(), "model": MAIN_MODEL}
    sent = client.post(f"{result}/again", data=form)
    assert sent.status_code == 303
    assert sent.headers["Location"] != result
    with client.application.app_context():
        record = service().jobs.find(sent.headers["Location"].rpartition("/")[2])
    assert (record.model, record.filename) == (MAIN_MODEL, "my park.jpg")
    refused = client.post(f"{result}/again", data={**form, "model": "no-such-model"})
    assert refused.status_code == 422
    assert "no-such-model" in refused.text


@pytest.fixture
def page(upload: Callable[..., TestResponse], work_off: Callable[[], None], pictures: Path) -> str:
    """The address of a result's page."""
    address = upload((pictures / "park.jpg").read_bytes()).headers["Location"]
    work_off()
    return address


def test_a_visitor_corrects_their_own_result_and_a_shared_link_shows_it_only(
    page: str, client: FlaskClient, token: Callable[[], str]
) -> None:
    address = f"{page}/annotations"
    said = client.get(address)
    document = {**(said.json or {}), "objects": [{"id": "a", "label": "Тест", "box": [1, 2, 30, 40]}]}
    json = {"Accept": "application/json", "If-Match": said.headers["ETag"]}

    assert client.put(address, json=document, headers=json).status_code == 400, "without the page's token"
    mine = {**json, "X-CSRFToken": token()}
    saved = client.put(address, json=document, headers=mine)
    assert saved.status_code == 200, saved.text
    refused = client.put(address, json={**document, "verified": True}, headers=mine)
    assert refused.status_code == 412
    assert (refused.json or {})["error"]["changed_by"] == "another tab or browser"

    link = client.post(f"{page}/share", data={"csrf_token": token()}, headers=json).json
    assert link is not None
    shared = "/" + link["link"].partition("//")[2].partition("/")[2]
    guest = client.application.test_client()
    assert guest.get(f"{shared}/annotations").json == saved.json
    assert guest.put(f"{shared}/annotations", json=document, headers=mine).status_code in {400, 405}
    assert client.put(f"{shared}/annotations", json=document, headers=mine).status_code == 405
    assert guest.get(address).status_code == 404

    now = {**mine, "If-Match": saved.headers["ETag"]}
    assert client.delete(address, headers=now).json == said.json


def test_a_corrected_page_says_so_and_shows_what_the_model_found_on_request(
    page: str, client: FlaskClient, token: Callable[[], str]
) -> None:
    said = client.get(f"{page}/annotations")
    names = ("result.json", "drawn", "exports/csv", "download")
    before = {name: client.get(f"{page}/{name}") for name in names}
    document = {**(said.json or {}), "objects": [{"id": "a", "label": "Тест", "box": [1, 2, 30, 40]}]}
    mine = {"Accept": "application/json", "If-Match": "*", "X-CSRFToken": token()}
    assert client.put(f"{page}/annotations", json=document, headers=mine).status_code == 200

    assert all(answer.headers["Cache-Control"] == "private, no-cache" for answer in before.values())
    tags = {name: {"If-None-Match": answer.headers["ETag"]} for name, answer in before.items()}
    after = {name: client.get(f"{page}/{name}", headers=tags[name]) for name in names}
    assert all(after[name].status_code == 200 and after[name].data != before[name].data for name in names)
    assert all(client.get(f"{page}/{name}?corrected=false").data == before[name].data for name in names)
    shown, as_said = (client.get(page + query).text for query in ("", "?corrected=false"))
    assert "Corrected by a person" in shown
    assert "Тест" in shown
    assert "Тест" not in as_said
    assert "exports/csv?corrected=false" in as_said


def test_sharing_begins_and_ends_without_losing_what_is_shown(
    page: str, client: FlaskClient, token: Callable[[], str]
) -> None:
    query = "score=0.35&only=cat&off=dog&sort=label"
    shown = client.get(f"{page}?{query}").text
    for name in ("share", "withdraw"):
        (action,) = re.findall(rf'action="([^"]*/{name}\?[^"]*)"', shown)
        back = client.post(html.unescape(action), data={"csrf_token": token()}).headers["Location"]
        assert parse_qs(urlsplit(back).query) == parse_qs(query)
        assert urlsplit(back).path == urlsplit(page).path
