import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse

from flask_detector.web.core.service import service


@dataclass(frozen=True)
class SentBatch:
    """The address of a batch, and those of its pictures."""

    url: str
    pictures: list[str]


@pytest.fixture
def sent(
    client: FlaskClient,
    token: Callable[[], str],
    shared_pictures: dict[str, bytes],
    work_off: Callable[[], None],
) -> SentBatch:
    """A batch of two pictures that are done, and a file that is none."""
    files = [*shared_pictures.items(), ("写.txt", b"none")]
    form: MultiDict[str, Any] = MultiDict(
        [("picture", FileStorage(io.BytesIO(data), name)) for name, data in files]
    )
    form["csrf_token"] = token()
    url = client.post("/detections", data=form, headers={"Accept": "text/html"}).headers["Location"]
    work_off()
    page = client.get(url).text
    return SentBatch(url, re.findall(r'<a href="(/detections/[0-9a-f]{32})"', page))


def links(page: str) -> list[str]:
    return [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]*)"', page)]


def delete(client: FlaskClient, address: str, token: str) -> TestResponse:
    return client.post(address, data={"csrf_token": token}, headers={"Accept": "text/html"})


def test_what_is_shown_of_a_batch_is_in_its_files_its_drawings_and_its_links(
    client: FlaskClient, sent: SentBatch
) -> None:
    usual = client.get(sent.url).text
    assert "1 file could not be used" in usual
    assert "写.txt" in usual
    query = "score=0.4&only=person"
    page = client.get(f"{sent.url}?{query}").text
    assert f"{sent.pictures[0]}?{query}" in links(page)
    assert f"{sent.url}/datasets/yolo.zip?{query}" in links(page)
    rows = csv.DictReader(io.StringIO(client.get(f"{sent.url}/summary.csv?{query}").text))
    counts = {row["file"]: row for row in rows}
    assert set(counts["street.jpg"]) == {"file", "state", "corrected", "objects", "person"}
    number = sum(int(row["person"]) for row in counts.values())
    assert number
    assert f"{number} objects" in page
    archive = client.get(f"{sent.url}/datasets/csv.zip?{query}").data
    found = list(
        csv.DictReader(io.StringIO(zipfile.ZipFile(io.BytesIO(archive)).read("detections.csv").decode()))
    )
    assert {row["label"] for row in found} == {"person"}
    assert len(found) == number
    everything = zipfile.ZipFile(io.BytesIO(client.get(f"{sent.url}/everything.zip?{query}").data))
    (name,) = (name for name in everything.namelist() if "detected_street" in name)
    drawn = everything.read(name)
    assert drawn == client.get(f"{sent.pictures[1]}/download?{query}").data
    assert drawn != client.get(f"{sent.pictures[1]}/download").data


def test_a_page_of_what_waits_is_never_loaded_again_by_itself_without_scripts(
    client: FlaskClient, token: Callable[[], str], jpeg: bytes
) -> None:
    form = {"csrf_token": token(), "picture": [(io.BytesIO(jpeg), f"{n}.jpg") for n in range(2)]}
    url = client.post("/detections", data=form, headers={"Accept": "text/html"}).headers["Location"]
    page = client.get(f"{url}?sort=name").text
    assert 'http-equiv="refresh"' not in page, "it would lose what is being chosen in the form"
    assert f'<noscript><a class="button" href="{url}?sort=name">Refresh</a></noscript>' in page


def test_what_can_be_done_with_a_batch_comes_while_it_is_looked_at(
    client: FlaskClient, token: Callable[[], str], work_off: Callable[[], None], jpeg: bytes
) -> None:
    form = {"csrf_token": token(), "picture": [(io.BytesIO(jpeg), f"{n}.jpg") for n in range(2)]}
    url = client.post("/detections", data=form, headers={"Accept": "text/html"}).headers["Location"]
    changing = set(re.findall(r'id="(\w+)"[^>]* data-changing', client.get(url).text))
    assert changing == {"head", "download", "keep", "filters", "records"}
    work_off()
    page = client.get(url).text
    assert "data-changing" not in page
    assert re.search(r'<div id="download">\s*<details', page)
    assert re.search(r'<div id="keep">\s*<form', page)


def test_a_result_knows_its_place_in_the_batch_in_the_order_that_was_asked_for(
    client: FlaskClient, sent: SentBatch
) -> None:
    first, second = sent.pictures
    page = client.get(f"{first}?only=person").text
    assert "1 of 2" in page
    assert f'rel="next" href="{second}?only=person"' in page
    assert 'rel="prev"' not in page
    assert f"{sent.url}?only=person" in links(page)
    turned = client.get(f"{first}?sort=objects").text
    assert (f'rel="prev" href="{second}?sort=objects"' in turned) == ("2 of 2" in turned)


def test_deleting_one_picture_returns_to_the_batch_as_it_was_shown(
    client: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    action = next(
        action.replace("&amp;", "&")
        for action in re.findall(
            r'action="([^"]*/delete[^"]*)"', client.get(f"{sent.pictures[0]}?score=0.4").text
        )
    )
    gone = delete(client, action, token())
    assert gone.headers["Location"] == f"{sent.url}?score=0.4"
    page = client.get(gone.headers["Location"]).text
    assert "<h1>1 picture</h1>" in page
    assert "1 of 1" in client.get(sent.pictures[1]).text
    assert delete(client, f"{sent.pictures[1]}/delete", token()).headers["Location"] == "/history"
    assert client.get(sent.url).status_code == 410


def test_a_batch_is_deleted_with_its_pictures(
    client: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    assert delete(client, f"{sent.url}/delete", token()).status_code == 303
    gone = client.get(sent.url)
    assert gone.status_code == 410
    assert "street.jpg</span> deleted" not in gone.text
    assert "and 1 more deleted" in gone.text, "with the way back"
    assert [client.get(picture).status_code for picture in sent.pictures] == [410, 410]
    assert delete(client, f"{sent.url}/delete", token()).status_code == 303


def test_a_picture_that_is_deleted_elsewhere_meanwhile_hinders_neither_the_page_nor_the_deletion(
    app: Flask, client: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    with app.app_context():
        records = service().jobs.find_all([picture.rpartition("/")[2] for picture in sent.pictures])
        service().delete(records[0])
        assert "<h1>1 picture</h1>" in client.get(sent.url).text
        service().delete_all(records)
    assert client.get(sent.url).status_code == 410
    assert client.get(f"{sent.url}/summary.csv").status_code == 410
    assert delete(client, f"{sent.url}/delete", token()).status_code == 303


def test_nobody_else_sees_or_deletes_a_batch(app: Flask, client: FlaskClient, sent: SentBatch) -> None:
    stranger = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', stranger.get("/").text)
    assert token
    for path in ("", "/summary.csv", "/everything.zip", "/datasets/yolo.zip"):
        assert stranger.get(f"{sent.url}{path}").status_code == 404
    assert delete(stranger, f"{sent.url}/delete", token[1]).status_code == 404
    assert client.get(sent.pictures[0]).status_code == 200


def test_a_score_that_is_none_is_refused(client: FlaskClient, sent: SentBatch) -> None:
    assert client.get(f"{sent.url}?score=high").status_code == 400


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A browser that sent nothing."""
    return app.test_client()


def share(client: FlaskClient, sent: SentBatch, token: str) -> str:
    """Return the path of the link to a batch."""
    answer = client.post(
        f"{sent.url}/share", data={"csrf_token": token}, headers={"Accept": "application/json"}
    )
    assert answer.json is not None
    return str(answer.json["link"]).removeprefix("http://localhost")


def content(file: bytes) -> bytes | dict[str, bytes]:
    """Return what is in a ZIP, whose times differ from one making to the next, or another file as it is."""
    if not zipfile.is_zipfile(io.BytesIO(file)):
        return file
    archive = zipfile.ZipFile(io.BytesIO(file))
    return {name: archive.read(name) for name in archive.namelist()}


def test_the_link_of_a_batch_shows_a_stranger_its_pictures_and_files_and_changes_nothing(
    client: FlaskClient, stranger: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    link = share(client, sent, token())
    assert share(client, sent, token()) == link
    query = "score=0.4&only=person&sort=objects"
    page = stranger.get(f"{link}?{query}")
    assert page.status_code == 200
    assert f"{link}/2?{query.replace('&', '&amp;')}" in page.text
    assert 'method="post"' not in page.text
    files = [path for path in links(page.text) if path.startswith(link) and "." in path.partition("?")[0]]
    assert any("summary.csv" in path for path in files)
    for path in files:
        theirs, own = stranger.get(path).data, client.get(path.replace(link, sent.url)).data
        assert content(theirs) == content(own), path
    picture = stranger.get(f"{link}/2?{query}").text
    assert "street.jpg" in picture
    assert 'method="post"' not in picture
    assert "2 of 2" in picture or "1 of 2" in picture
    for path in (path for path in links(picture) if path.startswith(f"{link}/2/")):
        assert stranger.get(path).status_code == 200, path
    for text in (page.text, picture):
        assert not re.search("[0-9a-f]{32}", text), "an id may be the key to more than a look"


def test_the_link_of_a_batch_opens_nothing_else(
    client: FlaskClient, stranger: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    link = share(client, sent, token())
    paths = [f"{link}/0", f"{link}/3", f"{link}/99999999999999999999", link.replace("/batches", "")]
    assert {stranger.get(path).status_code for path in [*paths, sent.url, *sent.pictures]} == {404}
    for action in ("delete", "withdraw", "share"):
        for path in (f"{link}/{action}", f"{link}/1/{action}"):
            assert client.post(path, data={"csrf_token": token()}).status_code in {404, 405}


def test_a_withdrawn_link_of_a_batch_opens_nothing_any_more(
    client: FlaskClient, stranger: FlaskClient, sent: SentBatch, token: Callable[[], str]
) -> None:
    link = share(client, sent, token())
    delete(client, f"{sent.pictures[0]}/delete", token())
    assert stranger.get(f"{link}/1").status_code in {404, 410}
    assert "1 of 1" in stranger.get(f"{link}/2").text
    client.post(f"{sent.url}/withdraw", data={"csrf_token": token()})
    for path in (link, f"{link}/2", f"{link}/2/picture", f"{link}/summary.csv"):
        assert stranger.get(path).status_code == 404
    assert share(client, sent, token()) != link


def test_programs_make_and_withdraw_links(client: FlaskClient, stranger: FlaskClient, jpeg: bytes) -> None:
    form = {"a": (io.BytesIO(jpeg), "a.jpg"), "b": (io.BytesIO(jpeg), "b.jpg")}
    batch = client.post("/api/v1/detections", data=form).json
    assert batch is not None
    for path in (f"/api/v1/batches/{batch['id']}/link", batch["detections"][0]["url"] + "/link"):
        made = client.post(path).json
        assert made is not None
        assert stranger.get(made["url"]).status_code == 200
        assert client.delete(path).status_code == 204
        assert stranger.get(made["url"]).status_code == 404
