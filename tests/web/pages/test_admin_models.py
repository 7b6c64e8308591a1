"""The operator's page of models: install, add, try and remove, with an answer to whatever goes wrong."""

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.api_keys import Keys, Scope
from flask_detector.detectors import MODELS
from flask_detector.detectors.openvino_runtime import read_graph, save_graph
from flask_detector.detectors.zoo.folder import ModelFolder
from flask_detector.detectors.zoo.install_state import ModelState, Stage
from flask_detector.errors import ModelNotInstalled
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.settings import Settings
from flask_detector.web.core import model_changes
from tests.support.exported_models import ULTRALYTICS, write_model, yolo_channels
from tests.support.small_models import write_small_rtmdet
from tests.support.waiting import wait_until

MODEL = "rtmdet-ins-s"


@pytest.fixture
def operator(client: FlaskClient, connection: redis.Redis) -> FlaskClient:
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]
    client.post("/admin/login", data={"csrf_token": form_token(client, "/admin/login"), "key": key})
    return client


def form_token(client: FlaskClient, path: str) -> str:
    match = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert match is not None
    return match[1]


@pytest.fixture
def press(operator: FlaskClient) -> Callable[..., TestResponse]:
    """A function that sends one of the page's forms."""

    def press(action: str, **fields: Any) -> TestResponse:
        form = {"csrf_token": form_token(operator, "/admin/models"), **fields}
        boundary, body = encode_multipart(form)  # in memory; the test client would leave a file open
        return operator.post(
            f"/admin/models/{action}",
            data=body,
            content_type=f'multipart/form-data; boundary="{boundary}"',
            headers={"Accept": "text/html"},
        )

    return press


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What processes were asked for; they wait instead, and end with the test."""
    started: list[Any] = []
    processes: list[subprocess.Popen[str]] = []

    class Process(subprocess.Popen[str]):
        def __init__(self, *command: Any, **options: Any) -> None:
            started.append(command)
            super().__init__(*command, **options)
            processes.append(self)

    monkeypatch.setattr(model_changes, "_ERRAND", [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(subprocess, "Popen", Process)
    yield started
    for process in processes:
        process.kill()
    # Each has a thread that keeps in Redis how it ended: other tests would find that a minute later.
    for thread in threading.enumerate():
        if thread.name.startswith("model "):
            thread.join(10)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "action", ["add", f"{MODEL}/install", f"{MODEL}/remove", f"{MODEL}/cancel", f"{MODEL}/try"]
)
def test_only_who_is_signed_in_changes_models_and_only_from_the_page_itself(
    client: FlaskClient, connection: redis.Redis, action: str
) -> None:
    token = form_token(client, "/admin/login")
    assert client.get("/admin/models").headers["Location"] == "/admin/login"
    answer = client.post(f"/admin/models/{action}", data={"csrf_token": token})
    assert answer.headers["Location"] == "/admin/login"
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]
    client.post("/admin/login", data={"csrf_token": token, "key": key})
    assert client.post(f"/admin/models/{action}").status_code == 400


def test_the_page_says_of_each_model_what_it_finds_how_well_how_large_it_is_and_its_licence(
    operator: FlaskClient,
) -> None:
    page = operator.get("/admin/models")
    assert page.headers["Cache-Control"] == "no-store"
    (row,) = re.findall(rf'<li id="model-{MODEL}".*?</ul>', page.text, re.DOTALL)
    for fact in ("boxes and masks", "AP 44.0 / 38.7", "41 MB", "Apache-2.0"):
        assert fact in row
    assert "default" in re.findall(r'<li id="model-nanodet-g".*?</h3>', page.text, re.DOTALL)[0]


def test_what_is_at_work_is_shown_cannot_begin_twice_and_can_be_cancelled(
    operator: FlaskClient, press: Callable[..., TestResponse], running: list[Any], app: Flask
) -> None:
    assert press(f"{MODEL}/install").headers["Location"].endswith(f"/admin/models#model-{MODEL}")
    assert f'action="/admin/models/{MODEL}/cancel"' in operator.get("/admin/models").text
    again = press(f"{MODEL}/install")
    assert (again.status_code, "is being installed or added right now" in again.text) == (409, True)
    assert len(running) == 1
    press(f"{MODEL}/cancel")
    changes = app.extensions["flask-detector"].model_changes
    wait_until(lambda: not changes.at_work(), 20)
    assert f'action="/admin/models/{MODEL}/install"' in operator.get("/admin/models").text


def test_what_another_process_does_is_shown_and_stops_when_it_is_cancelled(
    operator: FlaskClient, press: Callable[..., TestResponse], settings: Settings
) -> None:
    folder = ModelFolder(settings.data_dir / "models", MODEL)

    def work() -> None:
        with folder.work() as tell:
            tell(ModelState(Stage.DOWNLOADING, 10_000_000, 40_000_000, "the server is slow"))
            page = operator.get("/admin/models").text
            assert "Downloading, 10 MB of 40 MB" in page
            assert "the server is slow" in page
            press(f"{MODEL}/cancel")
            tell(ModelState(Stage.DOWNLOADING, 20_000_000, 40_000_000))

    with pytest.raises(ModelNotInstalled, match="was cancelled"):
        work()
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("nanodet-g", 409, "A model named nanodet-g already exists."),
        ("../../etc", 400, "A model can&#39;t be called"),
        ("", 400, "A model can&#39;t be called"),
    ],
)
def test_a_name_that_is_taken_or_none_is_refused_and_nothing_is_kept(
    press: Callable[..., TestResponse],
    running: list[Any],
    settings: Settings,
    name: str,
    status: int,
    words: str,
) -> None:
    answer = press("add", name=name, file=FileStorage(io.BytesIO(b"weights" * 100_000), "a.pth"))
    assert (answer.status_code, words in answer.text) == (status, True)
    assert running == []
    assert files(settings.data_dir / "models") == [".id"]


def test_a_file_of_any_name_is_taken(press: Callable[..., TestResponse], running: list[Any]) -> None:
    for name, filename in (("long", f"{'x' * 300}.pth"), ("dots", "../.."), ("far", "/etc/passwd")):
        file = FileStorage(io.BytesIO(b"weights"), filename)
        assert press("add", name=name, file=file).status_code == 303
    assert len(running) == 3


def test_two_files_of_one_name_are_refused(press: Callable[..., TestResponse], running: list[Any]) -> None:
    sent = [FileStorage(io.BytesIO(b"weights"), "a.xml") for _ in range(2)]
    answer = press("add", name="twice", file=sent)
    assert (answer.status_code, "have the same name" in answer.text) == (400, True)
    assert running == []


def test_a_file_that_ends_early_is_refused_and_nothing_is_kept(
    client: FlaskClient, connection: redis.Redis, running: list[Any], settings: Settings
) -> None:
    key = Keys(connection).create("the operator", Scope.ADMIN)[1]
    cut = client.post(
        "/api/v1/models/birds",
        data=b"weights",
        headers={"Authorization": f"Bearer {key}"},
        environ_overrides={"CONTENT_LENGTH": "1000", "wsgi.input_terminated": True},
    )
    assert (cut.status_code, cut.json and cut.json["error"]["code"]) == (400, "bad_request")
    assert running == []
    assert files(settings.data_dir / "models") == []


def test_a_form_without_a_file_or_with_a_wrong_option_is_refused(
    press: Callable[..., TestResponse], running: list[Any], settings: Settings
) -> None:
    assert "There is no file" in press("add", name="birds").text
    file = FileStorage(io.BytesIO(b"weights"), "a.pth")
    assert "is not an option" in press("add", name="birds", file=file, options="640").text
    assert running == []
    assert files(settings.data_dir / "models") == [".id"]


def test_a_file_that_is_too_large_or_finds_no_room_is_refused_before_it_is_read(
    operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unread(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise AssertionError("it is read")

    def send(length: int) -> TestResponse:
        return operator.post(
            "/admin/models/add",
            content_type="multipart/form-data; boundary=x",
            environ_overrides={"CONTENT_LENGTH": str(length), "wsgi.input": Unread()},
        )

    refused = send(model_changes.MOST_BYTES + 1)
    assert (refused.status_code, "at most 4.0 GB are accepted" in refused.text) == (413, True)
    monkeypatch.setattr(model_changes, "_SPARE_BYTES", 1 << 60)
    refused = send(1 << 20)
    assert (refused.status_code, "are free for it on this server" in refused.text) == (413, True)


def test_who_is_not_signed_in_sends_no_more_than_a_picture_may_have(
    client: FlaskClient, settings: Settings
) -> None:
    file = FileStorage(io.BytesIO(bytes(settings.max_upload_bytes + (2 << 20))), "a.pth")
    boundary, body = encode_multipart({"file": file})
    kind = f"multipart/form-data; boundary={boundary}"
    answer = client.post("/admin/models/add", data=body, content_type=kind)
    assert answer.status_code == 413


def test_a_model_is_not_removed_while_pictures_wait_for_it(
    press: Callable[..., TestResponse],
    work_off: Callable[[], None],
    operator: FlaskClient,
    settings: Settings,
) -> None:
    folder = settings.data_dir / "models" / MODEL
    folder.mkdir(parents=True)
    source: Any = MODELS[MODEL].source
    (folder / source.file_name).touch()
    assert press(f"{MODEL}/try").status_code == 303
    refused = press(f"{MODEL}/remove")
    assert (refused.status_code, f"1 picture is waiting for the model {MODEL}" in refused.text) == (409, True)
    token = form_token(operator, "/admin")
    operator.post("/admin/empty", data={"csrf_token": token})
    assert press(f"{MODEL}/remove").status_code == 303
    assert not folder.exists()


def test_how_a_change_ended_is_known_in_the_moment_of_its_end(
    client: FlaskClient, connection: redis.Redis, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = app.extensions["flask-detector"].model_changes

    def end_now() -> dict[str, ModelState]:
        changes._keep(model_changes.Change("birds", [], "bad_checkpoint", "The file is a program."))
        return {}

    monkeypatch.setattr(changes, "at_work", end_now)
    admin = {"Authorization": f"Bearer {Keys(connection).create('a', Scope.ADMIN)[1]}"}
    answer = client.get("/api/v1/models/birds", headers=admin)
    assert (answer.status_code, answer.json and answer.json["state"]) == (200, "failed")


def test_an_empty_body_for_a_model_that_is_not_known_is_said_to_be_empty(
    client: FlaskClient, connection: redis.Redis
) -> None:
    admin = {"Authorization": f"Bearer {Keys(connection).create('a', Scope.ADMIN)[1]}"}
    answer = client.post("/api/v1/models/birds", headers=admin)
    assert answer.status_code == 422
    assert "send its file as the body; this one is empty" in answer.text


def test_workers_with_a_models_folder_of_their_own_are_named(
    operator: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, store = app.extensions["flask-detector"].jobs, app.extensions["flask-detector"].models
    workers = [
        WorkerInfo("a", False, "", frozenset({"nanodet-g"}), "detections", {}, folder, host)
        for host, folder in (("far", "ff00"), ("near", store.folder_id()), ("old", ""))
    ]
    monkeypatch.setattr(jobs, "workers", lambda: workers)
    page = operator.get("/admin/models").text
    assert "Workers on far have a models folder of their own" in page


@pytest.mark.slow
def test_an_own_model_is_added_tried_and_removed_and_a_wrong_file_leaves_nothing(
    operator: FlaskClient,
    press: Callable[..., TestResponse],
    work_off: Callable[[], None],
    settings: Settings,
    tmp_path: Path,
    app: Flask,
) -> None:
    changes = app.extensions["flask-detector"].model_changes

    def add(name: str, data: bytes, filename: str, **fields: str) -> str:
        answer = press("add", name=name, file=FileStorage(io.BytesIO(data), filename), **fields)
        assert answer.status_code == 303
        wait_until(lambda: [c.name for c in changes.ended()] == [name], 60)
        return operator.get("/admin/models").text

    page = add("birds", b"<!doctype html><html>Log in</html>", "birds.pth")
    assert "birds</strong> could not be set up." in page
    assert "birds.pth: The file is a web page" in page
    assert page.count('id="model-birds"') == 1  # where the form's answer leads
    assert files(settings.data_dir / "models") == [".id", ".locks/birds"]
    write_small_rtmdet(tmp_path / "small.safetensors")
    page = add("birds", (tmp_path / "small.safetensors").read_bytes(), "own.pth", labels="jay, tit")
    assert "2 classes: jay, tit." in page
    assert "Added from own.pth." in page
    assert list((settings.data_dir / "models" / ".uploads").iterdir()) == []
    press("birds/dismiss")
    assert "2 classes: jay, tit." not in operator.get("/admin/models").text
    address = press("birds/try").headers["Location"]
    work_off()
    assert "birds" in operator.get(address).text
    assert press("birds/remove").status_code == 303
    assert "model-birds" not in operator.get("/admin/models").text
    assert operator.get(address).status_code == 200


@pytest.mark.slow
def test_a_model_that_comes_by_the_api_goes_by_it(
    client: FlaskClient, connection: redis.Redis, tmp_path: Path
) -> None:
    keys = Keys(connection)
    admin = {"Authorization": f"Bearer {keys.create('a', Scope.ADMIN)[1]}"}
    user = {"Authorization": f"Bearer {keys.create('b', Scope.USE)[1]}"}
    write_small_rtmdet(tmp_path / "small.safetensors")
    data = (tmp_path / "small.safetensors").read_bytes()
    address = "/api/v1/models/birds"
    for method in (client.get, client.post, client.delete):
        assert method(address).status_code == 401
        assert method(address, headers=user).status_code == 403
    assert client.get(address, headers=admin).status_code == 422

    def state() -> dict[str, Any]:
        found: dict[str, Any] = client.get(address, headers=admin).json or {}
        return found

    sent = client.post(f"{address}?labels=jay", data=data, headers=admin)
    assert (sent.status_code, sent.headers["Location"]) == (202, address)
    wait_until(lambda: state()["state"] != "converting", 60)
    assert state()["state"] == "failed"
    assert "names" in state()["note"] or "classes" in state()["note"]
    sent = client.post(f"{address}?labels=jay,tit&filename=own.pth", data=data, headers=admin)
    wait_until(lambda: state()["state"] == "installed", 60)
    assert "2 classes: jay, tit." in state()["note"]
    taken = client.post(address, data=data, headers=admin)
    assert (taken.status_code, taken.json and taken.json["error"]["code"]) == (409, "model_conflict")
    assert client.delete(address, headers=admin).status_code == 204
    assert client.delete(address, headers=admin).status_code == 422


@pytest.mark.slow
def test_a_model_of_two_files_comes_by_the_page_and_by_the_api(
    client: FlaskClient,
    operator: FlaskClient,
    press: Callable[..., TestResponse],
    connection: redis.Redis,
    app: Flask,
    tmp_path: Path,
) -> None:
    changes = app.extensions["flask-detector"].model_changes
    answers = {"output0": yolo_channels([[32, 32, 32, 16]], [[0.1, 0.9]])}
    graph = read_graph(write_model(tmp_path / "model.onnx", answers, metadata=ULTRALYTICS))
    save_graph(graph, tmp_path / "Größe 2.xml")

    def files(*suffixes: str) -> list[FileStorage]:
        return [
            FileStorage(io.BytesIO((tmp_path / f"Größe 2{suffix}").read_bytes()), f"Größe 2{suffix}")
            for suffix in suffixes
        ]

    assert press("add", name="page", file=files(".bin", ".xml")).status_code == 303
    admin = {"Authorization": f"Bearer {Keys(connection).create('a', Scope.ADMIN)[1]}"}
    for name, suffixes in (("both", (".xml", ".bin")), ("half", (".xml",))):
        sent = client.post(f"/api/v1/models/{name}", data={"file": files(*suffixes)}, headers=admin)
        assert sent.status_code == 202
    wait_until(lambda: [c.name for c in changes.ended()] == ["both", "half", "page"], 90)
    assert [c.message.partition(":")[2] for c in changes.ended()] == [
        "",
        " The model's arrays lie in another file, Größe 2.bin, which is not here.",
        "",
    ]
    nothing = client.post(
        "/api/v1/models/none", data={"labels": "a"}, content_type="multipart/form-data", headers=admin
    )
    assert nothing.status_code == 400
