"""Teaching by programs: who may, what is refused, how far a run is, and what is done with what came of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.api_keys import Keys, Scope
from flask_detector.detectors.nanodet.convert import write_checkpoint
from flask_detector.detectors.nanodet.layers import embedded_weights
from flask_detector.jobs.lessons import Progress
from flask_detector.jobs.records import Failure
from flask_detector.process.extras import INSTALL_TEACHING
from flask_detector.web.core.service import Service
from flask_detector.worker.attempts import Attempts
from tests.support.collected import add_picture, collection_of
from tests.support.lessons import finish, walls
from tests.support.waiting import wait_until

RUNS = "/api/v1/models/teach"


@pytest.fixture
def collection(client: FlaskClient) -> str:
    return walls(client)


@pytest.fixture
def call(client: FlaskClient, connection: redis.Redis) -> Callable[..., TestResponse]:
    """A function that calls the API as its administrator."""
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]

    def call(method: str, path: str = "", form: dict[str, Any] | None = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}"}
        return client.open(f"{RUNS}{path}", method=method, json=form, headers=headers)

    return call


def code_of(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["error"]["code"]


def test_only_an_administrator_teaches(client: FlaskClient, connection: redis.Redis, collection: str) -> None:
    plain = Keys(connection).create("somebody")[1]
    form = {"collection": collection, "name": "walls"}
    changes = (("DELETE", "/x"), ("POST", "/x/again"), ("POST", "/x/add"))
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/x"), *changes):
        answer = client.open(RUNS + path, method=method, json=form)
        assert code_of(answer) == (401, "key_missing"), path
        headers = {"Authorization": f"Bearer {plain}"}
        assert code_of(client.open(RUNS + path, method=method, json=form, headers=headers)) == (
            403,
            "key_not_allowed",
        )


def test_without_pytorch_the_answer_has_the_command_that_installs_it(
    call: Callable[..., TestResponse], collection: str
) -> None:
    answer = call("POST", form={"collection": collection, "name": "walls"})
    assert code_of(answer) == (409, "teaching_error")
    assert INSTALL_TEACHING in answer.text


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"base": "mask-rcnn-r50-fpn"}, (400, "bad_parameter")),
        ({"base": "rtmdet-ins-s"}, (409, "model_not_installed")),
        ({"classes": ["gable"]}, (400, "bad_parameter")),
        ({"name": "nanodet-g"}, (409, "model_conflict")),
        ({"name": "../etc"}, (400, "bad_parameter")),
        ({"minutes": 0}, (400, "bad_parameter")),
        ({"steps": 3}, (400, "bad_parameter")),
        ({"collection": "0" * 32}, (404, "unknown_collection")),
    ],
)
def test_what_can_t_be_taught_is_refused_before_anything_is_queued(
    call: Callable[..., TestResponse],
    collection: str,
    teaching: Service,
    change: dict[str, Any],
    refusal: tuple[int, str],
) -> None:
    answer = call("POST", form={"collection": collection, "name": "walls", **change})
    assert code_of(answer) == refusal
    assert teaching.lessons.all() == []


def test_pictures_without_objects_are_refused(
    call: Callable[..., TestResponse], client: FlaskClient, teaching: Service, small: bytes
) -> None:
    path = collection_of(client, "Nothing")
    add_picture(client, path, small)
    answer = call("POST", form={"collection": path.rpartition("/")[2], "name": "walls"})
    assert code_of(answer) == (422, "bad_training_data")


def test_a_run_that_failed_goes_on(
    call: Callable[..., TestResponse], collection: str, teaching: Service
) -> None:
    id = (call("POST", form={"collection": collection, "name": "walls"}).json or {})["id"]
    attempts = Attempts(teaching.lessons.queue, worker="", location="here")
    attempt = attempts.take()
    assert attempt is not None
    attempts.fail(attempt, Failure("teaching_error", "The disk is full.", "Make room."))
    run = call("GET", f"/{id}").json or {}
    assert (run["status"], run["error"]["message"]) == ("failed", "The disk is full.")
    assert (call("POST", f"/{id}/again").json or {})["status"] == "queued"
    # Of one that has not failed nothing changes.
    assert (call("POST", f"/{id}/again").json or {})["status"] == "queued"
    assert code_of(call("GET", f"/{id}/model")) == (404, "unknown_run")
    assert "not ended" in call("POST", f"/{id}/add").text


def test_a_run_is_queued_shown_cancelled_and_deleted(
    call: Callable[..., TestResponse], collection: str, teaching: Service
) -> None:
    asked = {"collection": collection, "name": "walls", "classes": ["Brick"], "minutes": 2}
    answer = call("POST", form=asked)
    assert answer.status_code == 202
    run = answer.json or {}
    assert (run["status"], run["position"], run["pair"]) == ("queued", 0, "nanodet-g-with-walls")
    assert answer.headers["Location"] == run["url"]
    assert code_of(call("POST", form=asked)) == (409, "model_conflict")
    progress = Progress("Learning", 0.5, 30, [(0.1, 2.0)], [(0.25, 0.5, 0.3)], ["A."])
    teaching.lessons.report(run["id"], progress)

    shown = call("GET", f"/{run['id']}").json or {}
    assert shown["progress"] == {
        "what": "Learning",
        "part": 0.5,
        "seconds_left": 30,
        "losses": [[0.1, 2.0]],
        "proven": [[0.25, 0.5, 0.3]],
        "remarks": ["A."],
    }
    assert [one["id"] for one in (call("GET").json or {})["runs"]] == [run["id"]]

    assert call("DELETE", f"/{run['id']}").status_code == 204
    assert (call("GET", f"/{run['id']}").json or {})["status"] == "cancelled"
    assert call("DELETE", f"/{run['id']}").status_code == 204
    assert code_of(call("GET", f"/{run['id']}")) == (404, "unknown_run")


@pytest.mark.slow
def test_what_came_of_a_run_is_no_model_before_it_is_added_and_is_one_then(
    call: Callable[..., TestResponse],
    collection: str,
    teaching: Service,
    client: FlaskClient,
    tmp_path: Path,
) -> None:
    id = (call("POST", form={"collection": collection, "name": "walls"}).json or {})["id"]
    assert code_of(call("POST", f"/{id}/add")) == (404, "unknown_run")
    file = tmp_path / "a.safetensors"
    write_checkpoint(file, embedded_weights(), [f"class {n}" for n in range(80)], {"base": "nanodet-g"})
    finish(teaching, model=file.read_bytes())
    run = call("GET", f"/{id}").json or {}
    assert (run["status"], run["card"]["steps"]) == ("done", 250)
    assert run["models"] == {"walls": "absent", "nanodet-g-with-walls": "absent"}
    assert call("GET", f"/{id}/model").data == file.read_bytes()

    assert call("POST", f"/{id}/add").status_code == 202

    wait_until(
        lambda: set((call("GET", f"/{id}").json or {})["models"].values()) == {"installed"}, seconds=60
    )
    wait_until(lambda: not teaching.model_changes.at_work(), 30)
    assert code_of(call("POST", f"/{id}/add")) == (409, "model_conflict")
    names = {one["name"]: one["default"] for one in (client.get("/api/v1/models").json or {})["models"]}
    assert (names["walls"], names["nanodet-g-with-walls"]) == (False, False)
    assert call("DELETE", f"/{id}").status_code == 204
    assert "walls" in teaching.models.installed()
