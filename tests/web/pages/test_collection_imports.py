"""Importing a data set into a collection by its page: how far it is, and what became of it."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.web.core import importing
from flask_detector.web.core.service import Service
from tests.support.collected import Own
from tests.support.datasets import zipped
from tests.support.waiting import wait_until

Send = Callable[..., TestResponse]


@pytest.fixture
def send_zip(client: FlaskClient, own: Own, token: Callable[[], str]) -> Send:
    """A function that sends a ZIP as the page does."""

    def send(data: bytes | None = None) -> TestResponse:
        fields = {} if data is None else {"dataset": FileStorage(io.BytesIO(data), "Füchse <b>.zip")}
        boundary, body = encode_multipart({"csrf_token": token(), **fields})
        content_type = f'multipart/form-data; boundary="{boundary}"'
        return client.post(f"{own.url}/imports", data=body, content_type=content_type)

    return send


@pytest.fixture
def data(jpeg: bytes, tmp_path: Path) -> bytes:
    """Three pictures, one of them cut short, and a line of labels that can't be used."""
    files = {
        "images/狐.jpg": jpeg,
        "images/b.jpg": jpeg,
        "images/cut.jpg": jpeg[: len(jpeg) // 2],
        "labels/狐.txt": "0 0.5 0.5 0.2 0.2\n9 1 1 1 1\n",
        "data.yaml": "names: [<b>]",
    }
    return zipped(tmp_path / "a.zip", files).read_bytes()


def wait_for_end(service: Service, own: Own) -> importing.Import:
    def has_ended() -> bool:
        found = importing.find(service, own.id)
        return found is not None and found.has_ended

    wait_until(has_ended, 20)
    found = importing.find(service, own.id)
    assert found is not None
    return found


def test_an_import_goes_on_by_itself_and_what_was_left_out_is_listed(
    client: FlaskClient, own: Own, send_zip: Send, data: bytes, service: Service, token: Callable[[], str]
) -> None:
    begun = send_zip(data)
    assert (begun.status_code, begun.headers["Location"]) == (303, f"{own.url}/imports")
    found = wait_for_end(service, own)
    assert (found.pictures, found.added, found.seen, found.total) == (2, 2, 3, 3)
    page = client.get(f"{own.url}/imports").text
    assert "Imported Füchse &lt;b&gt;.zip" in page
    assert "2 pictures imported, 2 left out." in page
    assert "<strong>labels/狐.txt, line 2</strong>" in page
    assert "<strong>images/cut.jpg</strong> can&#39;t be used" in page
    collection = client.get(own.url).text
    assert "2 pictures imported" in collection
    assert len(service.pictures.entries(own.id)) == 5
    client.post(f"{own.url}/imports/dismiss", data={"csrf_token": token()})
    assert "pictures imported" not in client.get(own.url).text
    assert client.get(f"{own.url}/imports").status_code == 303


def test_while_it_goes_on_it_says_how_far_it_is_and_another_waits(
    client: FlaskClient, own: Own, send_zip: Send, data: bytes, service: Service, token: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(importing, "_WRITTEN_EACH_SECONDS", 0.0)
    arrived, go_on = threading.Event(), threading.Event()
    add = service.pictures.add

    def slow(*args: object, **kwargs: object) -> object:
        if kwargs["file_name"] == "b.jpg":
            arrived.set()
            assert go_on.wait(20)
        return add(*args, **kwargs)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(service.pictures, "add", slow)
    send_zip(data)
    assert arrived.wait(20)
    for url in (own.url, f"{own.url}/imports"):
        page = client.get(url).text
        assert "of 3 pictures" in page
        assert "data-changing" in page
    assert send_zip(data).status_code == 503
    client.post(f"{own.url}/imports/cancel", data={"csrf_token": token()})
    go_on.set()
    found = wait_for_end(service, own)
    assert found.message == "It was cancelled."
    assert send_zip(data).status_code == 303, "it can be done again"
    assert wait_for_end(service, own).message == ""


def test_an_import_whose_process_is_gone_says_that_it_was_interrupted(
    client: FlaskClient, own: Own, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing._write(service, own.id, importing.Import("a.zip", "COCO", 10, 3, 3, 3))
    assert "3 of 10 pictures" in client.get(own.url).text
    monkeypatch.setattr(importing, "_SILENT_SECONDS", -1)
    page = client.get(f"{own.url}/imports").text
    assert "It was interrupted." in page
    assert "import the same ZIP again" in page


def test_a_full_collection_ends_an_import_which_says_so(
    own: Own, send_zip: Send, data: bytes, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_detector.collections.pictures.MOST_PICTURES", 4)
    send_zip(data)
    found = wait_for_end(service, own)
    assert (found.pictures, found.message) == (1, "A collection may have 4 pictures.")


def test_what_is_no_data_set_is_refused_at_once(
    own: Own, send_zip: Send, data: bytes, service: Service
) -> None:
    broken = send_zip(data[:200])
    assert broken.status_code == 422
    assert "Füchse" in broken.text
    assert send_zip(b"").status_code == 422
    assert send_zip().status_code == 400
    assert importing.find(service, own.id) is None
