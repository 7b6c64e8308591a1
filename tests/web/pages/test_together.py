"""Pictures that are put on one page: each once, and a bounded number."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Upload = Callable[..., TestResponse]


@pytest.fixture
def put_together(client: FlaskClient, token: Callable[[], str]) -> Callable[[list[str]], TestResponse]:
    """A function that puts detections on one page, as the front page's script does."""

    def put(ids: list[str]) -> TestResponse:
        form = {"csrf_token": token(), "detection": ids}
        return client.post("/batches", data=form, headers={"Accept": "application/json"})

    return put


def test_a_picture_that_is_named_often_is_on_the_page_once(
    upload: Upload, client: FlaskClient, jpeg: bytes, put_together: Callable[[list[str]], TestResponse]
) -> None:
    first, second = (upload(jpeg, f"{n}.jpg").headers["Location"].rpartition("/")[2] for n in range(2))
    sent = put_together([second] * 400 + [first] * 400)
    page = client.get(sent.headers["Location"]).text
    assert "<h1>2 pictures</h1>" in page
    assert page.index("1.jpg") < page.index("0.jpg")
    assert len(page) < 20_000


def test_more_pictures_than_a_page_may_have_are_refused_with_how_many_it_may(
    put_together: Callable[[list[str]], TestResponse],
) -> None:
    refused = put_together([f"{n:032x}" for n in range(251)])
    assert (refused.status_code, refused.json and refused.json["error"]["field"]) == (400, "detection")
    assert "at most 250" in refused.text
    assert put_together([f"{n:032x}" for n in range(250)]).status_code == 404


def test_one_id_ten_thousand_times_is_refused_before_it_is_read(
    put_together: Callable[[list[str]], TestResponse],
) -> None:
    assert put_together(["0" * 32] * 10_000).status_code == 413
