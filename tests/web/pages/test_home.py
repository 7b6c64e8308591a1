import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from flask_detector.broker.connection import connect
from flask_detector.detectors import MAIN_MODEL, MODELS
from flask_detector.detectors.zoo.folder import ModelFolder
from flask_detector.errors import DownloadError
from flask_detector.jobs.queue import new_id
from flask_detector.settings import DEFAULT_QUEUE, Settings
from flask_detector.structures.detections import Detections
from flask_detector.web import create_app
from flask_detector.web.core.service import service

Upload = Callable[..., TestResponse]


def test_a_picture_goes_from_the_form_to_the_drawn_download(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    sent = upload((pictures / "apartment.jpg").read_bytes(), "my flat.jpg")
    assert sent.status_code == 303
    waiting = client.get(sent.headers["Location"])
    assert waiting.status_code == 200
    assert "my flat.jpg" in waiting.text
    work_off()
    page = client.get(sent.headers["Location"])
    assert "chair" in page.text
    assert "nanodet-g" in page.text
    download = client.get(f"{sent.headers['Location']}/download")
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert "detected_my flat.jpg" in download.headers["Content-Disposition"]
    drawn = Image.open(io.BytesIO(download.data))
    assert (drawn.format, drawn.size) == ("JPEG", (1024, 683))
    assert download.data != (pictures / "apartment.jpg").read_bytes()


def test_the_format_follows_the_content_and_not_the_name(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "zoo.jpg").read_bytes(), "zoo.jpg").headers["Location"]
    work_off()
    download = client.get(f"{address}/download")
    assert download.mimetype == "image/webp"
    assert "detected_zoo.webp" in download.headers["Content-Disposition"]
    assert Image.open(io.BytesIO(download.data)).format == "WEBP"


def test_the_result_as_json_can_be_read_back(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "street.jpg").read_bytes()).headers["Location"]
    work_off()
    form = client.get(f"{address}/result.json").json
    assert form is not None
    found = Detections.from_json(form)
    assert json.loads(json.dumps(found.to_json()))["instances"] == form["instances"]
    assert len(form["colours"]["car"]) == 3


def test_the_picture_is_shown_without_its_place(
    upload: Upload, client: FlaskClient, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"  # GPSLatitudeRef
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(file, "JPEG", exif=exif)
    address = upload(file.getvalue()).headers["Location"]
    work_off()
    for path in ("picture", "drawn", "download"):
        shown = Image.open(io.BytesIO(client.get(f"{address}/{path}").data))
        assert shown.size == (48, 64)
        assert not shown.getexif()


def test_the_result_can_be_taken_away_as_a_file(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "street.jpg").read_bytes(), "street.jpg").headers["Location"]
    work_off()
    table = client.get(f"{address}/exports/csv")
    assert table.headers["Content-Disposition"] == "attachment; filename=street.csv"
    assert "street.jpg,car," in table.text
    assert client.get(f"{address}/exports/docx").status_code == 404


def test_again_needs_no_new_upload(
    upload: Upload, client: FlaskClient, token: Callable[[], str], jpeg: bytes, work_off: Callable[[], None]
) -> None:
    address = upload(jpeg, "cat.jpg", min_score="0.5").headers["Location"]
    work_off()
    again = client.post(f"{address}/again", data={"csrf_token": token()})
    assert again.status_code == 303
    assert again.headers["Location"] != address
    work_off()
    assert "cat.jpg" in client.get(again.headers["Location"]).text


def test_cancelling_ends_the_waiting(
    upload: Upload, client: FlaskClient, token: Callable[[], str], jpeg: bytes, connection: redis.Redis
) -> None:
    address = upload(jpeg).headers["Location"]
    client.post(f"{address}/cancel", data={"csrf_token": token()})
    assert connection.llen(f"rq:queue:{DEFAULT_QUEUE}") == 0
    assert "ancelled" in client.get(address).text


def test_deleting_hides_all_of_a_detection_at_once(
    upload: Upload,
    client: FlaskClient,
    token: Callable[[], str],
    jpeg: bytes,
    work_off: Callable[[], None],
) -> None:
    address = upload(jpeg).headers["Location"]
    work_off()
    assert client.post(f"{address}/delete", data={"csrf_token": token()}).status_code == 303
    for path in ("", "/picture", "/drawn", "/download", "/result.json", "/state", "/events"):
        assert client.get(address + path).status_code == 410


@pytest.mark.parametrize("path", ["", "/picture", "/drawn", "/download", "/result.json", "/state", "/events"])
def test_an_unknown_detection_is_not_found(client: FlaskClient, path: str) -> None:
    for id in (new_id(), "..", "x"):
        answer = client.get(f"/detections/{id}{path}")
        assert answer.status_code == 404


def test_what_is_not_finished_can_not_be_downloaded_yet(
    upload: Upload, client: FlaskClient, jpeg: bytes
) -> None:
    address = upload(jpeg).headers["Location"]
    assert client.get(f"{address}/download").status_code == 409


@pytest.mark.parametrize("action", ["", "/again", "/cancel", "/delete"])
@pytest.mark.parametrize("wrong", [{}, {"csrf_token": "made up"}])
def test_a_form_without_its_token_does_nothing(
    upload: Upload,
    client: FlaskClient,
    jpeg: bytes,
    connection: redis.Redis,
    action: str,
    wrong: dict[str, str],
) -> None:
    address = upload(jpeg).headers["Location"]
    target = f"{address}{action}" if action else "/detections"
    answer = client.post(target, data={**wrong, "picture": (io.BytesIO(jpeg), "cat.jpg")})
    assert answer.status_code == 400
    assert 'data-code="bad_form_token"' in answer.text
    assert connection.llen(f"rq:queue:{DEFAULT_QUEUE}") == 1
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("score", ["1.5", "-1", "nan", "inf", "high"])
def test_a_score_that_is_none_is_refused(upload: Upload, jpeg: bytes, score: str) -> None:
    answer = upload(jpeg, min_score=score)
    assert answer.status_code == 400
    assert "0 to 1" in answer.text


def test_an_unknown_model_is_refused(upload: Upload, jpeg: bytes) -> None:
    answer = upload(jpeg, model="no-such-model")
    assert answer.status_code == 422
    assert 'data-code="unknown_model"' in answer.text


def test_a_model_that_is_not_installed_is_refused_with_the_way_to_get_it(upload: Upload, jpeg: bytes) -> None:
    answer = upload(jpeg, model="mask-rcnn-r50-fpn")
    assert answer.status_code == 409
    assert "models pull mask-rcnn-r50-fpn" in answer.text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("C:\\pictures\\cat.jpg", "cat.jpg"),
        ("<script>alert(1)</script>.jpg", "&lt;/script&gt;.jpg".replace("&lt;/", "")),
        ("cat\u202egpj.exe", "catgpj.exe"),
    ],
)
def test_file_names_are_shown_safely(
    upload: Upload, client: FlaskClient, jpeg: bytes, name: str, shown: str
) -> None:
    page = client.get(upload(jpeg, name).headers["Location"]).text
    assert shown in page
    assert "<script>alert" not in page


def test_a_redis_that_is_gone_is_said_on_every_page(settings: Settings) -> None:
    with connect("redis://127.0.0.1:1") as nowhere:
        client = create_app(settings, connection=nowhere).test_client()
        for path in ("/", f"/detections/{new_id()}"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert 'data-code="broker_unavailable"' in answer.text
            assert int(answer.headers["Retry-After"]) > 0


def test_a_storage_that_can_not_be_written_loses_nothing(
    upload: Upload, jpeg: bytes, settings: Settings, connection: redis.Redis
) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "pictures").write_text("a file where the folder should be")
    answer = upload(jpeg)
    assert answer.status_code == 503
    assert 'data-code="storage_unavailable"' in answer.text
    assert connection.llen(f"rq:queue:{DEFAULT_QUEUE}") == 0


def test_what_is_nowhere_and_what_is_not_allowed_have_pages(client: FlaskClient) -> None:
    assert client.get("/nowhere").status_code == 404
    refused = client.post("/history")
    assert refused.status_code == 405
    assert "GET" in refused.headers["Allow"]


def test_an_unexpected_error_shows_no_detail(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, settings: Settings, connection: redis.Redis
) -> None:
    app = create_app(settings, connection=connection)
    monkeypatch.setattr("flask_detector.jobs.queue.Jobs.workers", lambda self: 1 / 0)
    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert "division" not in answer.text


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for path in ("/", "/nowhere", "/api/v1/detections/x"):
        headers = client.get(path).headers
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_why_a_model_could_not_be_fetched_stands_at_length_on_the_page_about_the_installation_alone(
    client: FlaskClient, settings: Settings
) -> None:
    address = "https://weights.example/mask_rcnn.pth"
    with pytest.raises(DownloadError), ModelFolder(settings.data_dir / "models", MAIN_MODEL).work():
        raise DownloadError(
            "The download failed.", hint=f"To install the file manually, download {address} <now>."
        )
    home, about = client.get("/").text, client.get("/about").text
    assert "could not be set up" in home
    assert 'href="/about#models"' in home
    assert address not in home
    assert f'<a href="{address}" rel="noopener noreferrer">' in about
    assert "&lt;now&gt;" in about


@pytest.fixture
def join(client: FlaskClient, token: Callable[[], str], jpeg: bytes) -> Callable[..., dict[str, str]]:
    """A function that sends one of several pictures, as the pages' scripts do."""

    def join(batch: str = "", **fields: str) -> dict[str, str]:
        form = {"csrf_token": token(), "picture": (io.BytesIO(jpeg), "cat.jpg"), "batch": batch, **fields}
        answer = client.post("/detections", data=form, headers={"Accept": "application/json"})
        assert answer.status_code == 202
        return dict(answer.json or {})

    return join


def test_pictures_that_are_sent_one_by_one_are_a_batch_from_the_first_on(
    client: FlaskClient, join: Callable[..., dict[str, str]]
) -> None:
    first = join()
    assert "<h1>1 picture</h1>" in client.get(first["batch_url"]).text
    second = join(first["batch"])
    assert second["batch_url"] == first["batch_url"]
    assert "<h1>2 pictures</h1>" in client.get(first["batch_url"]).text


def test_what_is_sent_again_because_no_answer_came_is_accepted_once(
    client: FlaskClient, join: Callable[..., dict[str, str]]
) -> None:
    first = join(key="a")
    assert join(key="a") == first
    second = join(first["batch"], key="b")
    assert join(first["batch"], key="b") == second
    assert "<h1>2 pictures</h1>" in client.get(first["batch_url"]).text


def test_a_full_or_foreign_or_forgotten_batch_is_not_joined(
    app: Flask, client: FlaskClient, join: Callable[..., dict[str, str]]
) -> None:
    first = join()
    with app.app_context():
        batches = service().batches
        batch = batches.find(first["batch"])
        full = replace(batch, id=new_id(), detections=batch.detections * 250)
        foreign = replace(batch, id=new_id(), owner="somebody else")
        with service().connection.pipeline() as pipeline:
            batches.add(full, pipeline)
            batches.add(foreign, pipeline)
            pipeline.execute()
    for id in (full.id, foreign.id, "0" * 32):
        assert join(id)["batch"] not in {id, batch.id}


def test_a_picture_is_fetched_from_its_url_where_the_settings_allow_it(
    settings: Settings,
    connection: redis.Redis,
    jpeg: bytes,
    token_of: Callable[[FlaskClient], str],
    serve_http: Callable[[HTTPServer], str],
    tmp_path: Path,
) -> None:
    allowed = settings.model_copy(update={"pictures_by_url": True, "allow_private_addresses": True})
    client = create_app(allowed, connection=connection).test_client()
    assert 'name="url"' in client.get("/").text
    (tmp_path / "cat photo.jpg").write_bytes(jpeg)
    files = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    host = serve_http(ThreadingHTTPServer(("127.0.0.1", 0), files))
    form = {"csrf_token": token_of(client), "url": f"{host}/cat%20photo.jpg"}
    sent = client.post("/detections", data=form, headers={"Accept": "text/html"})
    assert "cat photo.jpg" in client.get(sent.headers["Location"]).text


def test_a_url_is_refused_where_the_settings_do_not_allow_it(
    client: FlaskClient, token: Callable[[], str]
) -> None:
    assert 'name="url"' not in client.get("/").text
    form = {"csrf_token": token(), "url": "http://pictures.example/cat.jpg"}
    refused = client.post("/detections", data=form, headers={"Accept": "text/html"})
    assert refused.status_code == 422
    assert "Fetching pictures from URLs is disabled." in refused.text


def test_the_page_remembers_the_model_that_was_chosen_last_as_long_as_there_is_one(
    client: FlaskClient, upload: Upload, jpeg: bytes, settings: Settings
) -> None:
    def chosen() -> list[str]:
        return re.findall(r'name="model" value="([^"]+)"\s+data-title="[^"]*" checked', client.get("/").text)

    assert chosen() == ["auto"]
    folder = settings.data_dir / "models" / MAIN_MODEL
    folder.mkdir(parents=True)
    source: Any = MODELS[MAIN_MODEL].source
    (folder / source.file_name).touch()
    assert upload(jpeg, model=MAIN_MODEL).status_code == 303
    assert chosen() == [MAIN_MODEL]
    (folder / source.file_name).unlink()
    assert chosen() == ["auto"]


@pytest.mark.parametrize("path", ["/history", "/about"])
def test_the_page_that_is_open_is_marked_in_the_navigation(client: FlaskClient, path: str) -> None:
    assert f'<a href="{path}" aria-current="page">' in client.get(path).text
    assert "aria-current" not in client.get("/").text
