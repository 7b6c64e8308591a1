"""What belongs to a browser: nobody else sees, changes or lists it, unless it is shared."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from flask_detector.settings import Settings

Upload = Callable[..., TestResponse]
FILES = ["", "/picture", "/thumbnail", "/drawn", "/download", "/result.json", "/state", "/events"]
FILES += ["/exports/csv", "/exports/json"]


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Another browser."""
    return app.test_client()


@pytest.fixture
def done(upload: Upload, work_off: Callable[[], None], jpeg: bytes) -> str:
    """The address of a finished detection of the first browser."""
    address = upload(jpeg, "cat.jpg").headers["Location"]
    work_off()
    return address


def ask(client: FlaskClient, address: str, token: str, **form: object) -> TestResponse:
    return client.post(address, data={"csrf_token": token, **form}, headers={"Accept": "application/json"})


@pytest.mark.parametrize("file", FILES)
def test_a_stranger_with_the_id_sees_nothing_and_learns_nothing(
    done: str, client: FlaskClient, stranger: FlaskClient, file: str
) -> None:
    assert client.get(done + file).status_code == 200
    answer = stranger.get(done + file)
    unknown = stranger.get(f"/detections/{'0' * 32}{file}")
    assert (answer.status_code, answer.text) == (404, unknown.text)
    assert stranger.get(f"/api/v1{done}").status_code == 404


@pytest.mark.parametrize("action", ["again", "cancel", "delete", "share", "withdraw"])
def test_a_stranger_can_not_change_anything(
    done: str, client: FlaskClient, stranger: FlaskClient, action: str, token_of: Callable[[FlaskClient], str]
) -> None:
    assert ask(stranger, f"{done}/{action}", token_of(stranger)).status_code == 404
    assert client.get(done).status_code == 200


def test_a_share_link_shows_all_and_lets_change_nothing(
    done: str, client: FlaskClient, stranger: FlaskClient, token_of: Callable[[FlaskClient], str]
) -> None:
    shared = ask(client, f"{done}/share", token_of(client)).json
    assert shared is not None
    link = shared["link"]
    for file in FILES:
        assert stranger.get(link + file).status_code == 200
    page = stranger.get(link).text
    assert done not in page
    assert "delete" not in page.lower().replace("deleted", "")
    assert ask(stranger, f"{link}/delete", token_of(stranger)).status_code in {404, 405}
    again = ask(client, f"{done}/share", token_of(client)).json
    assert again is not None
    assert again["link"] == link


def test_a_withdrawn_link_opens_nothing_and_a_new_one_is_another(
    done: str, client: FlaskClient, stranger: FlaskClient, token_of: Callable[[FlaskClient], str]
) -> None:
    first = ask(client, f"{done}/share", token_of(client)).json
    assert first is not None
    ask(client, f"{done}/withdraw", token_of(client))
    for file in FILES:
        assert stranger.get(first["link"] + file).status_code == 404
    second = ask(client, f"{done}/share", token_of(client)).json
    assert second is not None
    assert second["link"] != first["link"]
    assert stranger.get(second["link"]).status_code == 200


def test_deleting_closes_the_shared_link_too(
    done: str, client: FlaskClient, stranger: FlaskClient, token_of: Callable[[FlaskClient], str]
) -> None:
    shared = ask(client, f"{done}/share", token_of(client)).json
    assert shared is not None
    ask(client, f"{done}/delete", token_of(client))
    assert stranger.get(shared["link"]).status_code == 410


def test_the_history_lists_this_browsers_pictures_newest_first(
    upload: Upload, client: FlaskClient, stranger: FlaskClient, jpeg: bytes
) -> None:
    for name in ("first.jpg", "second.jpg"):
        upload(jpeg, name)
    page = client.get("/history").text
    assert page.index("second.jpg") < page.index("first.jpg")
    assert "first.jpg" not in stranger.get("/history").text


def test_the_history_can_be_searched_by_label(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> None:
    for name, data in shared_pictures.items():
        upload(data, name)
    work_off()
    page = client.get("/history?label=chair").text
    assert "apartment.jpg" in page
    assert "street.jpg" not in page
    assert "apartment.jpg" not in client.get("/history?label=giraffe").text


def test_what_was_deleted_is_in_no_history(
    done: str, client: FlaskClient, token_of: Callable[[FlaskClient], str]
) -> None:
    ask(client, f"{done}/delete", token_of(client))
    assert 'class="record"' not in client.get("/history").text


def several(token: str, *files: tuple[bytes, str]) -> dict[str, object]:
    return {"csrf_token": token, "picture": [(io.BytesIO(data), name) for data, name in files]}


def test_several_pictures_share_a_page_and_the_bad_ones_are_named_there(
    client: FlaskClient, stranger: FlaskClient, jpeg: bytes, token_of: Callable[[FlaskClient], str]
) -> None:
    form = several(token_of(client), (jpeg, "one.jpg"), (b"no picture", "two.jpg"), (jpeg, "three.jpg"))
    sent = client.post("/detections", data=form, headers={"Accept": "text/html"})
    assert sent.status_code == 303
    page = client.get(sent.headers["Location"]).text
    assert all(name in page for name in ("one.jpg", "two.jpg", "three.jpg"))
    assert "not a picture" in page
    assert stranger.get(sent.headers["Location"]).status_code == 404


def test_several_pictures_that_are_all_bad_are_refused(
    client: FlaskClient, token_of: Callable[[FlaskClient], str]
) -> None:
    form = several(token_of(client), (b"no picture", "one.jpg"), (b"nor this", "two.jpg"))
    assert client.post("/detections", data=form).status_code == 415


def test_the_thumbnail_is_small_and_made_once(
    upload: Upload, client: FlaskClient, settings: Settings, shared_pictures: dict[str, bytes]
) -> None:
    address = upload(shared_pictures["street.jpg"]).headers["Location"]
    small = client.get(f"{address}/thumbnail")
    assert max(Image.open(io.BytesIO(small.data)).size) == 320
    (original,) = (settings.data_dir / "pictures").rglob("original")
    original.write_bytes(b"so that it can't be made again")
    assert client.get(f"{address}/thumbnail").data == small.data


def test_the_address_says_what_is_drawn(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> None:
    address = upload(shared_pictures["apartment.jpg"]).headers["Location"]
    work_off()

    def pixels(query: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.asarray(Image.open(io.BytesIO(client.get(f"{address}/download?format=png&{query}").data)))

    bare = pixels("hide=boxes&hide=labels")
    assert (pixels("score=1") == bare).all()
    assert (pixels("") != bare).any()
    assert (pixels("off=chair") != pixels("")).any()
    assert (pixels("hide=labels") != pixels("")).any()
    assert client.get(f"{address}/download?score=2").status_code == 400
    assert client.get(f"{address}/download?format=exe").status_code == 400
    assert client.get(f"{address}/download?format=webp").mimetype == "image/webp"


def test_exports_follow_what_is_shown(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> None:
    address = upload(shared_pictures["apartment.jpg"]).headers["Location"]
    work_off()
    assert ",chair," in client.get(f"{address}/exports/csv").text
    assert ",chair," not in client.get(f"{address}/exports/csv?off=chair").text


def test_an_instance_can_be_cut_out(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> None:
    address = upload(shared_pictures["apartment.jpg"], "flat.jpg").headers["Location"]
    work_off()
    result = client.get(f"{address}/result.json").json
    assert result is not None
    x1, y1, x2, y2 = result["instances"][0]["box"]
    answer = client.get(f"{address}/instances/0.png")
    assert "flat_chair_1.png" in answer.headers["Content-Disposition"]
    width, height = Image.open(io.BytesIO(answer.data)).size
    assert abs(width - (x2 - x1)) <= 2
    assert abs(height - (y2 - y1)) <= 2
    assert client.get(f"{address}/instances/{len(result['instances'])}.png").status_code == 404


def test_about_tells_models_limits_and_queue(client: FlaskClient) -> None:
    page = client.get("/about").text
    for told in ("NanoDet-g", "22.9", "Apache-2.0", "24", "25", "50"):
        assert told in page
