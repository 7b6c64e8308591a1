"""What to correct next in a collection: queued, looked at by a real worker, stopped, and shown most first."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from flask_detector.collections.documents import Rights
from flask_detector.jobs.doubts import Doubts
from flask_detector.web.core.service import Service
from flask_detector.worker.attempts import Attempts
from tests.support.collected import OF_PERSON, add_picture, annotations, collection_of


@pytest.fixture
def service(app: Flask) -> Service:
    found: Service = app.extensions["flask-detector"]
    return found


@pytest.fixture
def collection(client: FlaskClient, pictures: Path, service: Service) -> str:
    """The path of a collection: a grey picture, a street, one that is corrected, one damaged since."""
    path = collection_of(client)
    street = (pictures / "street.jpg").read_bytes()
    add_picture(client, path, grey(), "grey.png")
    add_picture(client, path, street, "street.jpg")
    id = path.rpartition("/")[2]
    seen = annotations(OF_PERSON)
    service.pictures.add(id, grey(200), seen, file_name="seen.png")
    damaged = add_picture(client, path, grey(50), "damaged.png")
    service.storage.write(service.pictures.path(id, damaged), io.BytesIO(b"\x89PNG"))
    return path


@pytest.fixture
def look_to_the_end(service: Service, work_off: Callable[[], None]) -> Callable[[], None]:
    """A function that lets workers, each of which ends when it sees nothing in the queue, empty it."""

    def look() -> None:
        work_off()
        while service.jobs.count():
            work_off()

    return look


def grey(shade: int = 128) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (shade,) * 3).save(file, "PNG")
    return file.getvalue()


def test_a_model_looks_at_the_chosen_pictures_and_those_in_doubt_come_first(
    client: FlaskClient, collection: str, look_to_the_end: Callable[[], None], token: Callable[[], str]
) -> None:
    assert client.get(f"{collection}/doubts").json["missing"] == 4  # type: ignore[index]  # it is JSON
    asked = client.post(f"{collection}/doubts?state=unseen")
    assert (asked.status_code, asked.json["left"], asked.json["missing"]) == (202, 3, 3)  # type: ignore[index]  # it is JSON
    again = client.post(f"{collection}/doubts?state=unseen")
    assert again.json == asked.json

    page = collection.removeprefix("/api/v1")
    shown = client.get(f"{page}?order=unsure&state=unseen").text
    assert "nanodet-g is looking at pictures: 3 to go" in shown
    assert 'id="records" data-changing' in shown
    look_to_the_end()

    form = client.get(f"{collection}/doubts?state=unseen").json or {}
    assert (form["model"], form["left"], form["error"]) == ("nanodet-g", 0, None)
    assert form["missing"] == 1, "the damaged one can't be looked at"
    assert form["pictures"][0]["filename"] == "street.jpg"
    assert form["pictures"][0]["doubt"] > 0.5
    shown = client.get(f"{page}?order=unsure&state=unseen").text
    assert re.findall(r'record-name">([^<]*)<', shown)[0] == "street.jpg"
    assert "It has not looked at 1 of these 3 pictures." in shown
    assert "Look at 1 picture<" in shown
    # All were asked for, not only those that nobody has seen: what was looked at stays.
    assert (client.get(f"{collection}/doubts").json or {})["missing"] == 2
    answer = client.post(f"{page}/doubts?order=unsure&model=nanodet-g", data={"csrf_token": token()})
    assert answer.headers["Location"] == f"{page}?order=unsure&model=nanodet-g"
    look_to_the_end()
    assert (client.get(f"{collection}/doubts").json or {})["missing"] == 1


def test_the_editor_goes_on_in_the_order_of_doubt(
    client: FlaskClient, collection: str, service: Service
) -> None:
    id = collection.rpartition("/")[2]
    entries = service.pictures.entries(id)
    for path, doubt in zip(service.pictures.paths(id, entries), (1.0, 3.0, 0.0, 2.0), strict=True):
        service.doubts.write(id, "nanodet-g", path, doubt)
    first, second, _, fourth = (entry.id for entry in entries)
    page = client.get(f"/collections/{id}/pictures/{fourth}?order=unsure&model=nanodet-g").text
    beside = re.findall(r'data-(?:previous|next)="[^"]*/pictures/(\w+)\?[^"]*order=unsure', page)
    assert beside == [second, first]


def test_a_look_is_stopped_and_what_it_has_found_out_stays(
    client: FlaskClient, collection: str, work_off: Callable[[], None], service: Service
) -> None:
    client.post(f"{collection}/doubts")
    assert service.jobs.count() == 1
    assert client.delete(f"{collection}/doubts").status_code == 204
    assert service.jobs.count() == 0
    work_off()
    form = client.get(f"{collection}/doubts").json or {}
    assert (form["left"], form["missing"], form["pictures"]) == (0, 4, [])
    assert client.post(f"{collection}/doubts?model=no-model").status_code == 422
    assert client.get(f"{collection}/doubts?model=no-model").status_code == 422


def test_a_look_goes_behind_what_waits_after_each_picture(
    client: FlaskClient,
    collection: str,
    jpeg: bytes,
    upload: Callable[..., TestResponse],
    look_to_the_end: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    write, finish = Doubts.write, Attempts.finish
    monkeypatch.setattr(Doubts, "write", lambda *given: order.append("looked") or write(*given))  # type: ignore[func-returns-value]  # for `or`
    monkeypatch.setattr(Attempts, "finish", lambda *given: order.append("ended") or finish(*given))  # type: ignore[func-returns-value]  # for `or`
    client.post(f"{collection}/doubts?state=unseen")
    upload(jpeg)
    look_to_the_end()
    assert order == ["looked", "ended", "looked", "ended"]


def test_whoever_may_only_look_begins_nothing(
    client: FlaskClient, collection: str, service: Service, token: Callable[[], str]
) -> None:
    id = collection.rpartition("/")[2]
    link = service.collections.share(id, Rights.READ)
    page = client.get(f"/shared/collections/{link}?order=unsure").text
    assert "Look at" not in page.replace("Look at it", "")
    asked = f"/shared/collections/{link}/doubts?model=nanodet-g"
    answer = client.post(asked, data={"csrf_token": token()})
    assert answer.status_code == 403
