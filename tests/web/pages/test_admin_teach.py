"""The operator's pages of teaching: what is estimated, asked and begun; what a run and its result show."""

import html
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from flask_detector.api_keys import Keys, Scope
from flask_detector.jobs.lessons import LessonRequest, Progress
from flask_detector.jobs.records import Failure
from flask_detector.web.core.service import Service
from flask_detector.worker.attempts import Attempts
from tests.support.lessons import finish, walls


def form_token(client: FlaskClient, path: str) -> str:
    match = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert match is not None
    return match[1]


@pytest.fixture
def operator(client: FlaskClient, connection: redis.Redis) -> FlaskClient:
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]
    client.post("/admin/login", data={"csrf_token": form_token(client, "/admin/login"), "key": key})
    return client


@pytest.fixture
def press(operator: FlaskClient) -> Callable[..., Any]:
    """A function that sends a form of these pages."""

    def press(path: str, **fields: Any) -> Any:
        form = {"csrf_token": form_token(operator, "/admin/teach"), **fields}
        return operator.post(f"/admin/teach/{path}", data=form, headers={"Accept": "text/html"})

    return press


@pytest.fixture
def collection(client: FlaskClient) -> str:
    return walls(client)


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def test_who_is_not_signed_in_signs_in_and_is_led_on(
    client: FlaskClient, connection: redis.Redis, collection: str
) -> None:
    login = client.get(f"/admin/teach/new?collection={collection}").headers["Location"]
    assert login.startswith("/admin/login?back=")
    action = re.search(r'action="(/admin/login[^"]*)"', client.get(login).text)
    assert action is not None
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]
    form = {"csrf_token": form_token(client, login), "key": key}
    answer = client.post(html.unescape(action[1]), data=form)
    assert answer.headers["Location"] == f"/admin/teach/new?collection={collection}"
    for path in ("new", "marked/a/b", "a/cancel", "a/add", "a/delete"):
        client.delete_cookie("operator", path="/admin")
        answer = client.post(f"/admin/teach/{path}", data={"csrf_token": form["csrf_token"]})
        assert answer.headers["Location"] == "/admin/login", path


def test_the_form_says_before_what_a_run_would_do(
    operator: FlaskClient, teaching: Service, collection: str
) -> None:
    page = text_of(operator.get(f"/admin/teach/new?collection={collection}").text)
    assert "250 steps with 3 pictures; at most 5 minutes" in page
    assert "Tested on 1 picture that it does not learn from" in page
    assert "Only 4 bricks: ten or more are found far better." in page
    assert "Only 4 tiles" in page
    assert "In 3 pictures something may be unmarked" in page

    none = operator.get(f"/admin/teach/new?collection={collection}&name=roofs").text
    assert "No class is chosen" in text_of(none)
    assert re.search(r'form="teach" disabled', none)

    chosen = f"/admin/teach/new?collection={collection}&class=tile&minutes=2&name=roofs"
    page = text_of(operator.get(chosen).text)
    assert "at most 2 minutes" in page
    assert "Only 4 bricks" not in page
    assert 'value="roofs"' in operator.get(chosen).text


def test_classes_that_differ_in_capitals_are_one_and_one_example_proves_nothing(
    operator: FlaskClient, teaching: Service, collection: str
) -> None:
    entries = teaching.pictures.entries(collection)

    def rename(document: dict[str, Any]) -> None:
        first, second = document["objects"]
        first["label"], second["label"] = "BRICK", "rare"

    teaching.pictures.change(collection, [entries[2].id], rename)
    page = operator.get(f"/admin/teach/new?collection={collection}").text
    assert re.findall(r'name="class" value="([^"]*)"', page) == ["brick", "tile", "rare"]
    assert "Only 4 bricks" in text_of(page)
    assert "Only 1 rare: nothing tests how well it is found." in text_of(page)

    only_rare = operator.get(f"/admin/teach/new?collection={collection}&class=rare").text
    assert "Objects are marked in one picture alone" in text_of(only_rare)


def test_without_pytorch_the_page_says_the_one_command_that_installs_it(
    operator: FlaskClient, collection: str
) -> None:
    for path in ("", f"/new?collection={collection}"):
        page = text_of(operator.get(f"/admin/teach{path}").text)
        assert f"{shlex.quote(sys.executable)} -m pip install 'flask-detector[teach]'" in page


def test_that_everything_is_marked_is_asked_of_each_picture_once(
    operator: FlaskClient, press: Callable[..., Any], teaching: Service, collection: str
) -> None:
    page = f"/admin/teach/new?collection={collection}"
    asked = re.findall(r'action="/admin/teach/(marked/[^"]+)"', operator.get(page).text)
    assert len(asked) == 3
    assert press(asked[0]).headers["Location"] == f"{page}#in-doubt"
    assert re.findall(r'action="/admin/teach/(marked/[^"]+)"', operator.get(page).text) == asked[1:]
    verified = [one.id for one in teaching.pictures.entries(collection) if one.state == "verified"]
    assert asked[0].rpartition("/")[2] in verified


def test_a_run_is_begun_shown_and_cancelled(
    operator: FlaskClient, press: Callable[..., Any], teaching: Service, collection: str
) -> None:
    form = {"collection": collection, "base": "nanodet-g", "name": "walls", "minutes": "2", "class": ["tile"]}
    address = press("new", **form).headers["Location"]
    (run,) = teaching.lessons.all()
    assert run.request == LessonRequest(collection, "nanodet-g", "walls", ("tile",), 2.0)
    assert "It is the next one" in text_of(operator.get(address).text)
    assert "A model named walls exists already or is being taught" in text_of(press("new", **form).text)
    assert "No class is chosen" in text_of(press("new", **{**form, "name": "b", "class": []}).text)
    assert "walls-2" not in operator.get(f"/admin/teach/new?collection={collection}").text

    attempts = Attempts(teaching.lessons.queue, worker="", location="here")
    assert attempts.take() is not None
    progress = Progress(
        "Learning", 0.5, 150, [(0.1, 4.0), (0.5, 2.0)], [(0.25, 0.5, 0.3)], ["Teaching tile."]
    )
    teaching.lessons.report(run.id, progress)
    page = operator.get(address).text
    assert "50% learned, about 2 minutes left" in text_of(page)
    assert 'd="M64.0 0.0L320.0 100.0"' in page
    assert 'd="M160.0 100.0"' in page
    assert "data-changing" in page
    assert "Learning, 50%" in text_of(operator.get("/admin/teach").text)

    press(f"{run.id}/cancel")
    page = operator.get(address).text
    assert "Cancelled" in text_of(page)
    assert "data-changing" not in page
    press(f"{run.id}/delete")
    assert "Nothing was taught yet" in text_of(operator.get("/admin/teach").text)


def test_a_run_that_failed_says_why_and_goes_on(
    operator: FlaskClient, press: Callable[..., Any], teaching: Service, collection: str
) -> None:
    id = teaching.lessons.enqueue(LessonRequest(collection, "nanodet-g", "walls"), "Walls")
    attempts = Attempts(teaching.lessons.queue, worker="", location="here")
    attempt = attempts.take()
    assert attempt is not None
    attempts.fail(attempt, Failure("teaching_error", "The disk is full.", "Make room."))
    assert "The disk is full. Make room." in text_of(operator.get(f"/admin/teach/{id}").text)
    press(f"{id}/again")
    assert teaching.lessons.find(id).status == "queued"


def test_what_came_of_a_run_is_shown_with_its_pictures_the_worst_first(
    operator: FlaskClient, teaching: Service, collection: str
) -> None:
    id = teaching.lessons.enqueue(LessonRequest(collection, "nanodet-g", "walls"), "Walls")
    lost = teaching.lessons.enqueue(LessonRequest(collection, "nanodet-g", "lost"), "Walls")
    pictures = {one.file_name: one.id for one in teaching.pictures.entries(collection)}
    assert finish(teaching) == id

    page = operator.get(f"/admin/teach/{id}").text
    text = text_of(page)
    assert "Took 2:05 250 steps" in text
    assert "brick 3 1 0.50 0.75 \u2013 1.00 0.50 0.75 \u2013 1.00" in text
    assert "Where both find brick, it replaces book of nanodet-g" in text
    assert f'href="/collections/{collection}/pictures/{pictures["1.png"]}">1.png</a>' in page
    assert "0.png 1 mistake" in text
    assert page.count('class="teach-mask"') == 1
    assert "<b> 0.50" not in page
    assert "Add to the models" in text
    small = operator.get(f"/admin/teach/{id}/pictures/{pictures['0.png']}")
    assert small.mimetype == "image/jpeg"
    assert operator.get(f"/admin/teach/{id}/pictures/{'0' * 32}").status_code == 404
    assert operator.get(f"/admin/teach/{id}/model").status_code == 404
    # What a step took here is what one is likely to take: 125 s for 250 of them.
    assert "about 2 minutes" in text_of(operator.get(f"/admin/teach/new?collection={collection}").text)
    assert finish(teaching, has_report=False) == lost
    assert "about 2 minutes" in text_of(operator.get(f"/admin/teach/new?collection={collection}").text)


def test_a_collection_leads_to_teaching_for_whoever_has_it(client: FlaskClient, collection: str) -> None:
    assert f'href="/admin/teach/new?collection={collection}"' in client.get(f"/collections/{collection}").text
