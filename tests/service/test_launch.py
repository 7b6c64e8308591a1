"""The whole installation, started as a user starts it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from flask_detector.service import launch
from flask_detector.settings import Settings
from tests.support.file_server import FileServer
from tests.support.ports import free_port
from tests.support.stack import Stack, running_stack
from tests.support.waiting import wait_until

RunServe = Callable[..., "subprocess.CompletedProcess[str]"]


def send(stack: Stack, picture: bytes) -> dict[str, Any]:
    request = urllib.request.Request(f"{stack.url}/api/v1/detections", data=picture, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def look(stack: Stack, id: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{stack.url}/api/v1/detections/{id}", timeout=30) as answer:
        return dict(json.load(answer))


def children(stack: Stack) -> list[psutil.Process]:
    return psutil.Process(stack.process.pid).children(recursive=True)


def worker_of(stack: Stack) -> psutil.Process:
    (worker,) = [child for child in children(stack) if child.cmdline()[-1:] == ["worker"]]
    return worker


@pytest.mark.parametrize("sync", [False, True])
def test_the_redis_that_is_started_syncs_where_pictures_are_synced(tmp_path: Path, sync: bool) -> None:
    settings = Settings(data_dir=tmp_path, offline=True, sync_writes=sync)
    assert launch.plan(settings).sync_redis is sync


def test_a_picture_is_detected_over_http(stack: Stack, jpeg: bytes) -> None:
    id = send(stack, jpeg)["id"]
    wait_until(lambda: look(stack, id)["status"] == "done", 20)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_no_picture_is_lost(tmp_path: Path, jpeg: bytes) -> None:
    with running_stack(tmp_path) as stack:
        first = send(stack, jpeg)["id"]
        wait_until(lambda: look(stack, first)["status"] == "done", 20)
        ids = [send(stack, jpeg)["id"] for _ in range(20)]
        worker_of(stack).kill()
        ids += [send(stack, jpeg)["id"] for _ in range(20)]
        wait_until(lambda: all(look(stack, id)["status"] == "done" for id in ids), 40)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_stopping_leaves_no_process_behind_and_results_outlive_a_restart(
    tmp_path: Path, jpeg: bytes, number: int
) -> None:
    with running_stack(tmp_path) as stack:
        id = send(stack, jpeg)["id"]
        wait_until(lambda: look(stack, id)["status"] == "done", 20)
        family = children(stack)
        assert len(family) == 4  # Redis, a worker, the web process, and what makes JSON of their stderr
        stack.process.send_signal(number)
        assert stack.process.wait(30) == 0
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
    with running_stack(tmp_path) as stack:
        assert look(stack, id)["status"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children with their parent")
@pytest.mark.slow
def test_even_a_killed_supervisor_leaves_no_process_behind(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        family = children(stack)
        stack.process.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []


@pytest.fixture
def run_serve() -> RunServe:
    """A function that runs it to its end, which comes at once since something is wrong."""

    def run(data_dir: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        own = {"DETECTOR_DATA_DIR": str(data_dir), "DETECTOR_OFFLINE": "1", "PORT": str(free_port())}
        return subprocess.run(
            [sys.executable, "-m", "flask_detector", "serve"],
            env={**os.environ, **own, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_second_one_on_the_same_data_is_refused(run_serve: RunServe, stack: Stack) -> None:
    second = run_serve(stack.data_dir)
    assert second.returncode == 1
    assert "is already running" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_said(run_serve: RunServe, stack: Stack, tmp_path: Path) -> None:
    second = run_serve(tmp_path, PORT=stack.url.rpartition(":")[2])
    assert second.returncode == 1
    assert "PORT" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_redis_that_does_not_answer_is_said(run_serve: RunServe, tmp_path: Path) -> None:
    failed = run_serve(tmp_path, REDIS_URL="redis://127.0.0.1:1")
    assert failed.returncode == 1
    assert "REDIS_URL" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("variable", "text"), [("DETECTOR_WORKERS", "none"), ("DETECTOR_STORAGE_URL", "pictures")]
)
def test_a_setting_that_can_not_be_used_is_named(
    run_serve: RunServe, tmp_path: Path, variable: str, text: str
) -> None:
    failed = run_serve(tmp_path, **{variable: text})
    assert failed.returncode == 1
    assert variable in failed.stderr


def test_a_model_that_is_not_there_is_said_before_anything_starts(
    run_serve: RunServe, tmp_path: Path
) -> None:
    failed = run_serve(tmp_path, DETECTOR_MODEL="nanodet")
    assert failed.returncode == 1
    assert "There is no model 'nanodet'" in failed.stderr
    assert "nanodet-g" in failed.stderr
    failed = run_serve(tmp_path, DETECTOR_MODEL="mask-rcnn-r50-fpn")
    assert failed.returncode == 1
    assert "models pull mask-rcnn-r50-fpn" in failed.stderr


def test_a_host_that_is_not_this_machine_is_said(run_serve: RunServe, tmp_path: Path) -> None:
    failed = run_serve(tmp_path, DETECTOR_HOST="192.0.2.1")
    assert failed.returncode == 1
    assert "Set DETECTOR_HOST to an IP address of this machine" in failed.stderr


def test_an_address_of_ipv6_is_written_so_that_it_can_be_opened(tmp_path: Path) -> None:
    port = free_port()
    with running_serve(port, tmp_path, DETECTOR_HOST="::1") as process:
        lines_until(process, f"serving on http://[::1]:{port}. ")
        with urllib.request.urlopen(f"http://[::1]:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200


def test_a_variable_that_is_no_setting_is_said(run_serve: RunServe, tmp_path: Path) -> None:
    failed = run_serve(tmp_path, DETECTOR_WORKER="2", DETECTOR_MODEL="none")
    assert (
        "DETECTOR_WORKER is not a setting and has no effect. Did you mean DETECTOR_WORKERS?" in failed.stderr
    )


def test_a_setting_that_names_an_unknown_model_is_said(run_serve: RunServe, tmp_path: Path) -> None:
    failed = run_serve(
        tmp_path,
        DETECTOR_ROUTES="auto=cpu,mask-rcn=gpu",
        DETECTOR_COMPAT_MODELS="a=nanodet,b=nanodet-g",
        DETECTOR_MODEL="none",
    )
    said = [line for line in failed.stderr.splitlines() if "there is no such model here" in line]
    assert len(said) == 2
    assert "DETECTOR_ROUTES names mask-rcn," in said[0]
    assert "DETECTOR_COMPAT_MODELS names nanodet," in said[1]


def test_a_data_folder_that_can_not_be_used_is_said(run_serve: RunServe, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = run_serve(tmp_path / "file" / "data")
    assert failed.returncode == 1
    assert "can't be used: Not a directory" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_a_worker_that_does_not_come_up_is_said_aloud_and_on_the_pages_until_one_does(
    tmp_path: Path, jpeg: bytes
) -> None:
    broken = tmp_path / "openvino.py"
    broken.write_text("raise ImportError('an engine that is not installed right')")
    port = free_port()
    with running_serve(port, tmp_path, PYTHONPATH=str(tmp_path)) as process:
        lines = lines_until(process, "NO WORKER STARTS")
        assert any("an engine that is not installed right" in line for line in lines)
        assert not any("serving on" in line for line in lines)
        lines_until(process, f"serving on http://127.0.0.1:{port}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert "No worker is running" in answer.read().decode()
        broken.unlink()
        lines_until(process, "a worker has started")


@pytest.mark.slow
@pytest.mark.parametrize("offline", [True, False])
def test_at_a_terminal_it_says_what_is_installed_where_it_serves_and_that_it_has_stopped(
    tmp_path: Path, offline: bool, serve_http: Callable[[HTTPServer], str]
) -> None:
    port = free_port()
    screen, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "serve", "--port", str(port)],
        env={
            **os.environ,
            "DETECTOR_DATA_DIR": str(tmp_path),
            "DETECTOR_OFFLINE": "1" if offline else "",
            "DETECTOR_MIRROR_URL": "" if offline else serve_http(FileServer()),  # it has no models
        },
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    said = ""
    awaited = ["Ctrl-C"] if offline else ["Ctrl-C", "to disable downloads"]
    with os.fdopen(screen, "rb", buffering=0) as shown, contextlib.suppress(OSError):  # it has ended
        while True:
            before, said = said, said + shown.read(1000).decode()
            if all(words in said for words in awaited) and not all(words in before for words in awaited):
                process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", said).splitlines() if line.strip()]
    trouble = [line for line in lines if "Next attempt at" in line]
    about, address, how_to_stop, stopping, stopped = (line for line in lines if line not in trouble)
    assert "uses the model nanodet-g" in about
    assert ("rtmdet-ins-s is installed" in about) is not offline
    assert address == f"http://127.0.0.1:{port}"
    assert how_to_stop == "Press Ctrl-C to stop."
    assert len(trouble) == (0 if offline else 1)
    assert "Stopping" in stopping
    assert stopped == "Stopped."


@contextlib.contextmanager
def running_serve(port: int, data: Path, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "serve", "--port", str(port)],
        env={**os.environ, "DETECTOR_DATA_DIR": str(data), "DETECTOR_OFFLINE": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)


def lines_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """Return what it says up to the line with these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"it ended without {words!r}: {lines}")
