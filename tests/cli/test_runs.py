"""Teaching on a server from the command line: queued, followed, cancelled, and the model added."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from flask_detector.api_keys import Keys, Scope
from flask_detector.cli import main
from flask_detector.jobs.lessons import Progress
from flask_detector.jobs.records import Failure
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.worker.attempts import Attempts
from tests.support.lessons import TEACHES, finish, walls
from tests.support.waiting import wait_until


@pytest.fixture
def app(settings: Settings, connection: redis.Redis) -> Flask:
    return create_app(settings, connection=connection)


@pytest.fixture
def service(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Of a server with a worker that can teach."""
    service: Service = app.extensions["flask-detector"]
    monkeypatch.setattr(service.jobs, "workers", lambda: [TEACHES])
    return service


@pytest.fixture
def collection(app: Flask) -> str:
    return walls(app.test_client())


@pytest.fixture
def options(app: Flask, connection: redis.Redis, serve_http: Callable[[HTTPServer], str]) -> list[str]:
    """The options that name the server and an administrator's key."""
    url = serve_http(make_server("127.0.0.1", 0, app, threaded=True))
    return ["--server", url, "--api-key", Keys(connection).create("the operator", Scope.ADMIN)[1]]


@pytest.fixture
def run(options: list[str]) -> Callable[..., Result]:
    """A function that runs a command with these options."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, *options])

    return run


def queue(run: Callable[..., Result], collection: str, name: str = "walls") -> str:
    answer = run("teach", "--collection", collection, "--name", name, "--classes", "brick", "--detach")
    assert answer.exit_code == 0, answer.output
    return answer.stdout.strip()


def test_a_run_is_queued_listed_and_cancelled(
    service: Service, collection: str, run: Callable[..., Result]
) -> None:
    assert "Nothing was taught yet" in run("runs", "list").stderr
    id = queue(run, collection)
    queued = service.lessons.find(id)
    assert (queued.request.name, queued.request.classes, queued.status) == ("walls", ("brick",), "queued")
    assert run("runs", "list").stdout == f"{id}  queued     walls from nanodet-g\n"
    assert "has not ended" in run("runs", "delete", id).stderr
    assert run("runs", "cancel", id).exit_code == 0
    assert service.lessons.find(id).status == "cancelled"
    assert "has ended" in run("runs", "cancel", id).stderr
    answer = run("runs", "follow", id)
    assert (answer.exit_code, "The run was cancelled." in answer.stderr) == (1, True)
    assert run("runs", "delete", id).exit_code == 0
    assert json.loads(run("runs", "list", "--json").stdout) == []


def test_a_run_is_followed_to_its_end_and_its_model_fetched(
    service: Service, collection: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    id = queue(run, collection)
    progress = Progress("Learning", 0.5, 150, [(0.5, 2.0)], [(0.25, 0.5, 0.3)], ["Teaching brick."])
    service.lessons.report(id, progress)
    assert "has not ended" in run("runs", "download", id, str(tmp_path / "x")).stderr
    finish(service, model=b"weights")

    answer = run("runs", "follow", id)
    assert answer.exit_code == 0, answer.output
    assert "walls has learned brick from 3 pictures in 2:05 (250 steps" in answer.stdout
    assert "Teaching brick." in answer.stderr
    assert "At 25%: AP50 0.500, AP 0.300." in answer.stderr
    assert "Learning:  50%, loss 2.00, 2:30 left" in answer.stderr
    assert f"flask-detector runs add {id}" in answer.stderr
    assert json.loads(run("runs", "follow", id, "--json").stdout)["pair"] == "nanodet-g-with-walls"
    assert run("runs", "download", id, str(tmp_path / "w")).exit_code == 0
    assert [path.name for path in tmp_path.glob("[wx]*")] == ["w"]
    assert (tmp_path / "w").read_bytes() == b"weights"


def test_a_run_that_failed_says_why_and_goes_on(
    service: Service, collection: str, run: Callable[..., Result]
) -> None:
    id = queue(run, collection)
    attempts = Attempts(service.lessons.queue, worker="", location="here")
    attempt = attempts.take()
    assert attempt is not None
    attempts.fail(attempt, Failure("teaching_error", "The disk is full.", "Make room."))
    answer = run("runs", "follow", id)
    assert answer.exit_code == 1
    assert f"The disk is full.\nMake room. To go on: flask-detector runs go-on {id}" in answer.stderr
    assert run("runs", "go-on", id).exit_code == 0
    assert service.lessons.find(id).status == "queued"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a"], "Name what to learn from"),
        (["--name", "a", "--collection", "x", "--data", "."], "Name what to learn from"),
        (["--name", "a", "--collection", "x", "--seed", "1"], "go with --data"),
        (["--name", "a", "--data", ".", "--detach"], "go with --collection"),
    ],
)
def test_options_of_a_server_and_of_this_machine_are_not_mixed(arguments: list[str], words: str) -> None:
    answer = CliRunner().invoke(main, ["teach", *arguments])
    assert (answer.exit_code, words in answer.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status"), [(b"y\n", "cancelled"), (b"\n", "queued"), (None, "queued")])
def test_ctrl_c_asks_whether_the_run_is_to_end_where_somebody_can_answer(
    service: Service,
    collection: str,
    run: Callable[..., Result],
    options: list[str],
    answer: bytes | None,
    status: str,
) -> None:
    id = queue(run, collection)
    ours, theirs = pty.openpty()
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL if answer is None else theirs}
    with subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "runs", "follow", id, *options],
        stderr=subprocess.PIPE, **streams,
    ) as process:  # fmt: skip
        stderr = process.stderr
        assert stderr is not None
        said = stderr.readline()
        wait_until(lambda: b"next one in the queue" in stderr.readline(), 20)
        process.send_signal(signal.SIGINT)
        if answer is not None:
            os.write(ours, answer)
        said += stderr.read()
        assert process.wait(20) == 130
    os.close(ours)
    os.close(theirs)
    assert id.encode() in said
    assert (b"Cancel the run?" in said) == (answer is not None)
    assert (b"The run goes on" in said) == (status == "queued")
    assert service.lessons.find(id).status == status
