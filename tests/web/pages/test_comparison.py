import io
import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

Upload = Callable[..., TestResponse]


@pytest.fixture
def post(client: FlaskClient, token: Callable[[], str]) -> Callable[..., TestResponse]:
    """A function that sends a form as a browser does."""

    def post(path: str, accept: str = "text/html", **fields: str) -> TestResponse:
        return client.post(path, data={"csrf_token": token(), **fields}, headers={"Accept": accept})

    return post


@pytest.fixture
def compared(
    client: FlaskClient,
    token: Callable[[], str],
    upload: Upload,
    post: Callable[..., TestResponse],
    shared_pictures: dict[str, bytes],
    work_off: Callable[[], None],
) -> str:
    """The path of the comparison of two results; the second lacks an object and calls another otherwise."""
    address = upload(shared_pictures["street.jpg"], "street.jpg").headers["Location"]
    path = post(f"{address}/again", compare="").headers["Location"]
    work_off()
    annotations = f"/detections/{path.rpartition('/')[2]}/annotations"
    answer = client.get(annotations)
    document = answer.get_json()
    objects = [{name: one[name] for name in ("id", "label", "box")} for one in document["objects"][1:]]
    objects[0]["label"] = "写"
    document = {"version": 1, "width": 1200, "height": 726, "labels": [], "objects": objects}
    headers = {"If-Match": answer.headers["ETag"], "X-CSRFToken": token()}
    assert client.put(annotations, json=document, headers=headers).status_code == 200
    return path


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A browser that sent nothing."""
    return app.test_client()


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'comparison-number">(\d+)<', page)]


def test_the_page_waits_then_shows_both_with_lists_that_add_up(
    client: FlaskClient,
    upload: Upload,
    post: Callable[..., TestResponse],
    jpeg: bytes,
    work_off: Callable[[], None],
) -> None:
    address = upload(jpeg, "cat.jpg").headers["Location"]
    work_off()
    path = post(f"{address}/again", compare="").headers["Location"]
    assert path.startswith(f"{address}/compare/")
    waiting = client.get(path)
    assert "Waiting in the queue" in waiting.text
    assert f"{path.rpartition('/')[2]}/events" in waiting.text
    work_off()
    page = client.get(path).text
    assert "<h1>nanodet-g (1) and nanodet-g (2)</h1>" in page
    left, right, other, same = numbers(client.get(f"{path}?score=0").text)
    assert (left, right, other) == (0, 0, 0)
    assert same
    assert numbers(client.get(f"{path}?score=1").text) == [0, 0, 0, 0]


def test_what_differs_is_listed_without_scripts_and_both_drawn_pictures_are_there(
    client: FlaskClient, compared: str
) -> None:
    page = client.get(compared).text
    left, right, other, same = numbers(page)
    assert (left, right, other) == (1, 0, 1)
    assert same
    assert "corrected by a person" in page
    assert numbers(client.get(f"{compared}?corrected=false").text) == [0, 0, 0, same + 2]
    counts = [int(number) for number in re.findall(r'comparison-count">(\d+) object', page)]
    assert counts == [left + other + same, right + other + same]
    drawn = re.findall(r'src="([^"]*/drawn\?score=[0-9.]+)"', page)
    assert len(drawn) == 2
    assert len({client.get(one).data for one in drawn}) == 2
    pairs = json.loads((re.search(r"data-pairs='([^']*)'", page) or [""])[1])
    assert len(pairs) >= same + other


def test_chosen_classes_bring_what_the_other_result_calls_otherwise(
    client: FlaskClient, compared: str, post: Callable[..., TestResponse]
) -> None:
    everything = numbers(client.get(compared).text)
    page = client.get(f"{compared}?only=写").text
    assert numbers(page) == [0, 0, 1, 0]
    assert re.findall(r'comparison-count">(\d+) object', page) == ["1", "1"]
    assert re.search(r'value="写" checked>.*?<td>0</td><td>1</td>', page, re.DOTALL)
    assert "only=%E5%86%99" in post(f"{compared}/share?only=写").headers["Location"]
    assert sum(numbers(client.get(f"{compared}?off=写").text)) == sum(everything)
    assert numbers(client.get(f"{compared}?only=zebra").text) == [0] * 4


def test_each_result_leads_to_the_other_one(client: FlaskClient, compared: str) -> None:
    first, second = compared.removeprefix("/detections/").split("/compare/")
    assert f'href="{compared}"' in client.get(f"/detections/{first}").text
    assert f'href="/detections/{second}/compare/{first}"' in client.get(f"/detections/{second}").text


def test_the_link_opens_both_for_others_until_one_of_them_is_withdrawn(
    client: FlaskClient, stranger: FlaskClient, compared: str, post: Callable[..., TestResponse]
) -> None:
    first, second = compared.removeprefix("/detections/").split("/compare/")
    assert stranger.get(compared).status_code == 404
    link = post(f"{compared}/share", accept="application/json").get_json()["link"]
    path = link.partition("//")[2].partition("/")[2]
    page = stranger.get(f"/{path}")
    assert page.status_code == 200
    assert first not in page.text
    assert second not in page.text
    assert "Make a link" not in page.text
    for file in re.findall(r'(?:src|data-result|data-picture)="(/shared/[^"]*)"', page.text):
        assert stranger.get(file.replace("&amp;", "&")).status_code == 200
    tokens = path.removeprefix("shared/").split("/compare/")
    assert stranger.get(f"/shared/{tokens[0]}/compare/{first}").status_code == 404
    assert stranger.post(f"/shared/{tokens[0]}/compare/{tokens[1]}/share").status_code in {400, 404, 405}
    post(f"/detections/{second}/withdraw")
    assert stranger.get(f"/{path}").status_code == 404
    assert stranger.get(f"/shared/{tokens[0]}").status_code == 200
    post(f"{compared}/withdraw")
    assert stranger.get(f"/shared/{tokens[0]}").status_code == 404


def test_pictures_of_different_sizes_are_not_compared(
    client: FlaskClient, upload: Upload, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 40)).save(file, "PNG")
    one, other = (upload(data).headers["Location"] for data in (jpeg, file.getvalue()))
    work_off()
    refused = client.get(f"{one}/compare/{other.rpartition('/')[2]}")
    assert refused.status_code == 400
    assert "different sizes" in refused.text


def test_one_that_is_deleted_or_was_cancelled_is_told_of(
    client: FlaskClient,
    upload: Upload,
    jpeg: bytes,
    post: Callable[..., TestResponse],
    work_off: Callable[[], None],
) -> None:
    one = upload(jpeg).headers["Location"]
    work_off()
    path = post(f"{one}/again", compare="").headers["Location"]
    other = f"/detections/{path.rpartition('/')[2]}"
    post(f"{other}/cancel")
    assert client.get(path).headers["Location"] == other
    assert client.get(f"{one}/compare/{'0' * 32}").status_code == 404
