import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flask_detector.cli.models import models
from flask_detector.detectors.zoo.install_state import Stage
from flask_detector.detectors.zoo.registry import MAIN_MODEL, Published
from flask_detector.detectors.zoo.store import ModelStore
from flask_detector.service.child import FAILED_AND_REPORTED, NEXT_ATTEMPT_VARIABLE

WEIGHTS = bytes(range(256)) * 4096


@pytest.fixture
def run(store: ModelStore) -> Any:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(models, arguments, obj=store)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_the_list_shows_what_there_is_and_marks_the_default(run: Any) -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["NAME", "INSTALLED", "SIZE", "BOX", "AP", "MASK", "AP", "LICENCE", "SECONDS"]
    assert re.fullmatch(r"\*  tiny +embedded +[\d.]+ kB +20\.0 +-  MIT", lines[1])
    assert re.fullmatch(rf"   {MAIN_MODEL} +no +1\.0 MB +40\.8 +37\.0  Apache-2\.0", lines[2])
    assert f"flask-detector models pull {MAIN_MODEL}" in result.stdout


def test_after_a_pull_the_list_has_another_default(run: Any) -> None:
    assert run("pull", MAIN_MODEL).exit_code == 0
    result = run()
    assert re.search(rf"^\*  {MAIN_MODEL} +yes ", result.stdout, re.MULTILINE)
    assert "pull" not in result.stdout


def test_the_model_of_the_settings_is_the_default(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_MODEL", MAIN_MODEL)
    result = run()
    assert f"\n*  {MAIN_MODEL}" in result.stdout
    assert f"It is not installed. To install it: flask-detector models pull {MAIN_MODEL}" in result.stdout
    monkeypatch.setenv("DETECTOR_MODEL", "nonsense")
    assert "DETECTOR_MODEL is 'nonsense', which is not a known model." in run().stdout


def test_the_list_as_json_has_each_model_with_its_state(run: Any) -> None:
    embedded, main = json.loads(run("--json").stdout)
    assert main == {
        "name": MAIN_MODEL,
        "title": "Main",
        "what": "Large.",
        "architecture": "mask-rcnn",
        "has_masks": True,
        "box_ap": 40.8,
        "mask_ap": 37.0,
        "licence": "Apache-2.0",
        "size": len(WEIGHTS),
        "state": "absent",
        "done": 0,
        "total": len(WEIGHTS),
        "note": "",
        "seconds": None,
        "default": False,
    }
    assert (embedded["state"], embedded["default"]) == ("embedded", True)


def test_pull_fetches_and_converts_and_says_so(run: Any, store: ModelStore, tmp_path: Path) -> None:
    result = run("pull", MAIN_MODEL)
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"Downloading {MAIN_MODEL}: 0 bytes of 1.0 MB",
        f"Converting {MAIN_MODEL}: 0%",
        f"The model {MAIN_MODEL} is installed.",
    ]
    assert (tmp_path / "data" / "models" / MAIN_MODEL / "converted-1" / "graph").exists()


def test_pull_again_has_nothing_to_do(run: Any, published: Path) -> None:
    run("pull", MAIN_MODEL)
    (published / "weights.pth").unlink()
    result = run("pull", MAIN_MODEL, "tiny")
    assert result.stderr.splitlines() == [
        f"The model {MAIN_MODEL} is installed.",
        "The model tiny is built in.",
    ]


def test_pull_asks_the_mirror_of_the_settings(
    run: Any, published: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published / "mirror").mkdir()
    (published / "weights.pth").rename(published / "mirror" / "weights.pth")
    monkeypatch.setenv("DETECTOR_MIRROR_URL", f"{server_url}/mirror/")
    assert run("pull", MAIN_MODEL).exit_code == 0


def test_in_the_background_one_that_cannot_be_had_keeps_no_other_from_coming(
    run: Any, store: ModelStore, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Published(f"{server_url}/missing.pth", "0" * 8, 1)
    gone = replace(store.info(MAIN_MODEL), name="gone", source=missing)
    monkeypatch.setattr("flask_detector.process.logs.set_up", lambda *_: None)  # it would last
    monkeypatch.setattr(store, "_models", {"gone": gone, MAIN_MODEL: store.info(MAIN_MODEL)})
    assert run("pull", "--log", "gone", MAIN_MODEL).exit_code == FAILED_AND_REPORTED
    assert store.state("gone").stage is Stage.FAILED
    assert store.state(MAIN_MODEL).stage is Stage.INSTALLED


def test_pull_checks_all_names_before_it_fetches_one(run: Any, store: ModelStore) -> None:
    result = run("pull", MAIN_MODEL, "rtmdet-ins")
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no model 'rtmdet-ins'.\nDid you mean {MAIN_MODEL}?\n"
    assert store.installed() == ["tiny"]


def test_a_failed_pull_ends_with_what_is_the_matter_and_what_to_do(
    run: Any, published: Path, server_url: str
) -> None:
    (published / "weights.pth").unlink()
    result = run("pull", MAIN_MODEL)
    address = f"{server_url}/weights.pth"
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: 127.0.0.1 returned 404 File not found for {address}.\n"
        f"To install the file manually, download {address} on another machine, copy it here and run: "
        f"flask-detector models add {MAIN_MODEL} FILE\n"
    )
    assert re.search(rf"^   {MAIN_MODEL} +failed ", run().stdout, re.MULTILINE)
    assert f"{MAIN_MODEL}: 127.0.0.1 returned 404" in run().stdout


def test_path_prints_only_the_path(run: Any, store: ModelStore) -> None:
    assert run("path", MAIN_MODEL).stderr.startswith(f"Error: The model {MAIN_MODEL} is not installed.\n")
    run("pull", MAIN_MODEL)
    result = run("path", MAIN_MODEL)
    assert result.stdout == f"{store.path(MAIN_MODEL)}\n"
    assert result.stderr == ""


def test_an_own_model_is_added_listed_and_removed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"my weights")
    result = run("add", "mine", str(tmp_path / "mine.pth"), "--variant", "mmdet-pytorch")
    assert result.stderr.splitlines()[-1] == "The model mine is installed."
    assert re.search(r"^   mine +yes +10 bytes +- +-  not stated$", run().stdout, re.MULTILINE)
    assert run("remove", "mine").stderr == "The model mine is removed.\n"
    assert "mine" not in run().stdout


def test_what_an_own_model_was_taken_for_is_printed_with_its_labels(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"my weights")
    assert run("add", "mine", str(tmp_path / "mine.pth")).stdout.splitlines() == [
        "Mask R-CNN, tested, 2 classes: class 1, class 2.",
        "They are numbered.",
    ]
    (tmp_path / "labels.txt").write_text("cup\n")
    arguments = ["--labels", str(tmp_path / "labels.txt"), "--option", "min_size=640"]
    result = run("add", "other", str(tmp_path / "mine.pth"), *arguments)
    assert result.stdout.splitlines() == [
        "Mask R-CNN, tested, 1 class: cup.",
        "The class names are those given.",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["remove", "tiny"], "The model tiny is built in and can't be removed."),
        (["remove", MAIN_MODEL], f"The model {MAIN_MODEL} is not installed."),
        (["add", "mine", "nothing.pth"], "There is no file nothing.pth."),
        (["add", "mine", "/"], "/ is a folder."),
        (["add", "../mine", __file__], "A model can't be called '../mine'."),
        (["path", "mine"], "There is no model 'mine'."),
        (["check", "tiny", __file__], "The model tiny is part of the program."),
        (["check", MAIN_MODEL, __file__], f"The model {MAIN_MODEL} is not installed."),
        (["add", "mine", __file__, "--option", "min_size"], "'min_size' is not an option."),
    ],
)
def test_what_cant_be_done_is_told_in_a_line_and_a_hint(run: Any, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    first, hint = [*result.stderr.splitlines(), ""][:2]
    assert first == f"Error: {message}"
    assert arguments == ["remove", "tiny"] or hint


def test_a_wrong_setting_is_told_the_same_way(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_THREADS", "many")
    result = run()
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: DETECTOR_THREADS is ")


@pytest.fixture
def stalling_url() -> Any:
    """The address of a server that sends half of a file and then nothing."""
    half = len(WEIGHTS) // 2
    connections = []

    def serve(listener: socket.socket) -> None:
        try:
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                connection.recv(65536)
                head = f'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: {len(WEIGHTS)}\r\n\r\n'
                connection.sendall(head.encode() + WEIGHTS[:half])
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in connections:
        connection.close()


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(stalling_url: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = "from flask_detector.cli.models import models; models()"
    environment = os.environ | {"DETECTOR_MIRROR_URL": stalling_url, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, "pull", MAIN_MODEL],
        stdout=theirs,
        stderr=theirs,
        env=environment,
        close_fds=True,
    )
    os.close(theirs)
    shown = b""
    while b"524.3 kB of 1.0 MB" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    told = shown.decode()
    assert re.search(rf"Downloading {MAIN_MODEL} +\[#+-+\] +50%.*  524\.3 kB of 1\.0 MB", told)
    assert re.search(
        rf"\nStopped\. 524\.3 kB are kept\. To resume: flask-detector models pull {MAIN_MODEL}\s*$", told
    )
    assert "Traceback" not in told


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        # What Linux answers when nobody has the terminal's other end open any more.
        return b""


def test_pull_for_a_service_tells_log_lines_of_json(run: Any, published: Path) -> None:
    lines = [json.loads(line) for line in run("pull", "--log", MAIN_MODEL).stderr.splitlines()]
    assert {(line["level"], line["part"]) for line in lines} == {("info", "fetch")}
    assert lines[-1]["message"] == f"The model {MAIN_MODEL} is installed."


def test_a_pull_for_a_service_that_fails_is_one_warning_with_the_time_of_the_next_try(
    run: Any, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published / "weights.pth").unlink()
    monkeypatch.setenv(NEXT_ATTEMPT_VARIABLE, "600.0")
    result = run("pull", "--log", MAIN_MODEL)
    assert result.exit_code == FAILED_AND_REPORTED
    (line,) = [line for line in map(json.loads, result.stderr.splitlines()) if line["level"] != "info"]
    assert line["level"] == "warning"
    assert "returned 404" in line["message"]
    told = re.search(
        r"Next attempt at (\d\d):(\d\d); set DETECTOR_OFFLINE=1 to disable downloads", line["message"]
    )
    assert told is not None
    now = time.localtime()
    minutes = int(told[1]) * 60 + int(told[2]) - now.tm_hour * 60 - now.tm_min
    assert minutes % (24 * 60) in {9, 10}
