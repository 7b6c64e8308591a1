import re
from collections.abc import Callable
from pathlib import Path

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
