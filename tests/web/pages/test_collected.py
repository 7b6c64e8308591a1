"""The pictures of a collection by a browser: several at once, and how they come and go."""

import io
import zipfile
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.collections.documents import Rights, State
from flask_detector.structures.masks import Mask
from flask_detector.web.core.service import Service
from tests.support.collected import Own

Send = Callable[..., TestResponse]
JSON = {"Accept": "application/json"}


def ids_of(service: Service, collection: str) -> set[str]:
    return {entry.id for entry in service.pictures.entries(collection)}


@pytest.fixture
def post(client: FlaskClient, token: Callable[[], str]) -> Send:
    """A function that sends a form with fields that have several values."""

    def post(url: str, **fields: object) -> TestResponse:
        return client.post(url, data={"csrf_token": token(), **fields}, headers=JSON)

    return post


@pytest.fixture
def add(client: FlaskClient, token: Callable[[], str], own: Own) -> Send:
    """A function that adds files to the collection as its page does."""

    def add(*files: tuple[str, bytes], **fields: str) -> TestResponse:
        sent = [FileStorage(io.BytesIO(data), name) for name, data in files]
        boundary, body = encode_multipart({"csrf_token": token(), "picture": sent, **fields})
        content_type = f'multipart/form-data; boundary="{boundary}"'
        return client.post(f"{own.url}/pictures", data=body, content_type=content_type, headers=JSON)

    return add


def test_selected_pictures_are_deleted_at_once_and_that_is_undone(
    client: FlaskClient, own: Own, post: Send, service: Service
) -> None:
    first, second, third = own.pictures
    post(f"{own.url}/delete-pictures", id=[first, third])
    assert ids_of(service, own.id) == {second}
    page = client.get(own.url).text
    assert "and 1 more" in page
    url = page.partition('class="undo"')[2].partition('action="')[2].partition("?")[0]
    assert post(url).status_code == 202
    assert ids_of(service, own.id) == set(own.pictures)
    assert post(url).status_code == 404, "it is undone already"
    post(f"{own.url}/delete-pictures?state=edited", all="all")
    assert ids_of(service, own.id) == {first, third}


@pytest.mark.parametrize("id", ["", "..", "0" * 32, "<b>", "猫"])
def test_a_selection_of_nothing_is_said(own: Own, post: Send, service: Service, id: str) -> None:
    assert post(f"{own.url}/delete-pictures").status_code == 400
    for path in ("delete-pictures", "copy", "exports/coco.zip"):
        assert post(f"{own.url}/{path}", id=[id], name="Other").status_code == 404
    assert len(ids_of(service, own.id)) == 3
    assert post(f"{own.url}/undo/{id or 'x'}").status_code == 404


def test_selected_pictures_are_exported(own: Own, post: Send) -> None:
    answer = post(f"{own.url}/exports/yolo.zip", id=[own.pictures[0], own.pictures[2]])
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert {name for name in archive.namelist() if name.endswith("jpg")} == {
            "images/a.jpg",
            "images/c.jpg",
        }


def test_pictures_are_copied_to_another_collection_or_moved(
    own: Own, post: Send, service: Service, client: FlaskClient
) -> None:
    copied = post(f"{own.url}/copy", id=[own.pictures[1]], name="Andere").json
    assert copied is not None
    assert (copied["name"], copied["added"], copied["moved"]) == ("Andere", 1, False)
    other = copied["url"].rpartition("/")[2]
    (entry,) = service.pictures.entries(other)
    assert (entry.state, entry.file_name) == (State.EDITED, "<i>狐</i>.jpg")
    assert service.collections.find(other).classes == ("Füchsin 狐",)
    moved = post(f"{own.url}/copy", id=own.pictures[:2], collection=other, move="1").json
    assert (moved or {})["moved"]
    assert ids_of(service, own.id) == {own.pictures[2]}
    assert ids_of(service, other) == set(own.pictures[:2])
    assert post(f"{own.url}/copy", id=[own.pictures[2]], collection=own.id).status_code == 400
    assert post(f"{own.url}/copy", id=[own.pictures[2]], collection="0" * 32).status_code == 404


def test_who_may_look_exports_and_copies_but_takes_nothing_away(
    app: Flask, own: Own, service: Service, token_of: Callable[[FlaskClient], str], jpeg: bytes
) -> None:
    url = f"/shared/collections/{service.collections.share(own.id, Rights.READ)}"
    other = app.test_client()
    form = {"csrf_token": token_of(other), "id": own.pictures[0], "name": "Mine", "move": "1"}
    for path in ("delete-pictures", "pictures", "undo/x", "imports", "imports/cancel", "classes/remove"):
        assert other.post(f"{url}/{path}", data=form, headers=JSON).status_code == 403, path
    assert other.post(f"{url}/exports/coco.zip", data=form, headers=JSON).status_code == 200
    copied = other.post(f"{url}/copy", data=form, headers=JSON).json
    assert (copied or {})["moved"] is False
    assert ids_of(service, own.id) == set(own.pictures)


def test_pictures_are_added_as_they_are_and_what_is_none_is_said(
    add: Send, own: Own, service: Service, jpeg: bytes
) -> None:
    added = add(("<b>狐</b>.jpg", jpeg)).json
    assert (added or {})["became"] == "added"
    again = add(("<b>狐</b>.jpg", jpeg)).json
    assert (again or {})["became"] == "replaced"
    assert len(ids_of(service, own.id)) == 4
    for files in ([("a.txt", b"no picture")], [("cut.jpg", jpeg[: len(jpeg) // 2])], []):
        assert 400 <= add(*files).status_code < 500, files
    both = add(("d.jpg", jpeg), ("cut.jpg", jpeg[: len(jpeg) // 2]))
    assert both.status_code == 422
    assert (both.json or {})["error"]["message"].startswith("cut.jpg: ")
    assert (both.json or {})["error"]["hint"] == "1 of 2 pictures were added."
    assert len(ids_of(service, own.id)) == 5
    assert add(url="http://127.0.0.1/a.jpg").status_code in {400, 403, 422}


def test_a_box_becomes_the_mask_that_a_model_makes_of_it(
    app: Flask,
    client: FlaskClient,
    own: Own,
    token: Callable[[], str],
    masked: str,
    while_working: Callable[[Callable[[], TestResponse]], TestResponse],
) -> None:
    assert "data-mask" in client.get(f"{own.url}/pictures/{own.pictures[0]}").text
    url = f"{own.url}/pictures/{own.pictures[0]}/annotations/mask"
    headers = {**JSON, "X-CSRFToken": token()}
    body = {"box": [2, 3, 12, 13], "label": "dog"}
    answer = while_working(lambda: client.post(url, json=body, headers=headers)).json
    assert answer is not None
    assert Mask.from_rle(answer["mask"]).area == 100
    wrong = client.post(url, json={"box": [2, 3, 2, 13], "label": "dog"}, headers=headers)
    assert wrong.status_code == 422
    gone = client.post(url.replace(own.pictures[0], "0" * 32), json=body, headers=headers)
    assert gone.status_code == 404


def test_without_a_model_that_makes_masks_the_editor_offers_none(
    client: FlaskClient, own: Own, token: Callable[[], str]
) -> None:
    assert "data-mask" not in client.get(f"{own.url}/pictures/{own.pictures[0]}").text
    url = f"{own.url}/pictures/{own.pictures[0]}/annotations/mask"
    body = {"box": [2, 3, 12, 13], "label": "dog"}
    assert client.post(url, json=body, headers={**JSON, "X-CSRFToken": token()}).status_code == 409
