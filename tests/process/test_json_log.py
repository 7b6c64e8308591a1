"""With the JSON log every line is JSON, whoever writes it and however the process ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROGRAM = [sys.executable, "-m", "flask_detector"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "PORT"}}
    return {
        **clean,
        "DETECTOR_LOG_FORMAT": "json",
        "DETECTOR_DATA_DIR": str(folder),
        "DETECTOR_OFFLINE": "1",
        **more,
    }


def forms(text: str) -> list[dict[str, Any]]:
    """Return the objects of all lines; fail at the first line that is none."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "part", "message"} <= form.keys() for form in found), text
    return found


def ended(command: Sequence[str], variables: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    """Run a command to its end; return its status and its lines."""
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, errors="replace", timeout=60, check=False
    )
    assert done.stdout == ""
    return done.returncode, forms(done.stderr)


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield str(server.getsockname()[1])


NO_REDIS = {"REDIS_URL": "redis://127.0.0.1:1"}


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("words", "variables", "status", "told"),
    [
        (["web"], {}, 1, "needs a Redis"),
        slow(["worker"], {}, 1, "needs a Redis"),
        slow(["worker"], NO_REDIS, 1, "can't be reached"),
        (["worker", "--workers", "2"], NO_REDIS, 1, "can't be reached"),
        slow(["serve"], NO_REDIS, 1, "can't be reached"),
        (["serve"], {"PORT": "many"}, 1, "PORT"),
        slow(["serve"], {"DETECTOR_LOG_FORMAT": "xml"}, 1, "DETECTOR_LOG_FORMAT"),
        slow(["serve"], {"DETECTOR_MODEL": "none-such"}, 1, "none-such"),
        slow(["serve", "--port", "x"], {}, 2, "--port"),
        (["serve", "--nothing"], {}, 2, "--nothing"),
        slow(["web", "superfluous"], {}, 2, "superfluous"),
        (["keys", "list"], NO_REDIS, 1, "can't be reached"),
        slow(["models", "pull", "none-such"], {}, 1, "none-such"),
    ],
)
def test_a_command_that_ends_at_once_says_so_in_one_line(
    tmp_path: Path, taken_port: str, words: list[str], variables: dict[str, str], status: int, told: str
) -> None:
    # That the usual port is in use, as it may be where the tests run, is not what stands in the way here.
    port = taken_port if words[0] != "serve" else str(free_port())
    ended_with, lines = ended([*PROGRAM, *words], environment(tmp_path, **{"PORT": port} | variables))
    assert ended_with == status
    assert [form["level"] for form in lines] == ["critical"]
    assert told in lines[0]["message"]
    assert lines[0]["part"] == words[0]
    if status == 1:
        assert lines[0]["hint"]


@pytest.mark.parametrize(
    ("command", "variables"), [slow("serve", {}), ("web", NO_REDIS)], ids=["serve", "web"]
)
def test_a_port_that_is_in_use_is_one_line(
    tmp_path: Path, taken_port: str, command: str, variables: dict[str, str]
) -> None:
    status, (line,) = ended([*PROGRAM, command], environment(tmp_path, PORT=taken_port, **variables))
    assert status == 1
    assert taken_port in line["message"]


def test_an_installation_that_lacks_a_package_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "pydantic_settings.py").write_text("raise ImportError('it is gone')")
    status, (line,) = ended([*PROGRAM, "serve"], environment(tmp_path / "data", PYTHONPATH=str(tmp_path)))
    assert status == 1
    assert "it is gone" in line["traceback"]


@pytest.mark.slow
def test_a_folder_that_can_not_be_made_is_one_line_with_its_traceback_or_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, (line,) = ended([*PROGRAM, "serve"], environment(tmp_path / "file" / "data"))
    assert status == 1
    assert "traceback" in line or "hint" in line


PREAMBLE = """
    import faulthandler, os, subprocess, sys, threading, warnings
    from flask_detector.process import logs
    logs.set_up("json", "web")
"""


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ('os.write(2, b"of a library\\n\\n\\xff\\xfe\\n{no json\\n[1]\\nwithout an end")', "without an end"),
        ('os.write(2, b"at redis://me:secret@here:1/\\n")', "redis://me:…@here:1/"),
        ('warnings.warn("of Python")', "of Python"),
        ("1 / 0", "ZeroDivisionError"),
        ('t = threading.Thread(target=lambda: {}["of a thread"]); t.start(); t.join()', "of a thread"),
        ('subprocess.run(["sh", "-c", "echo of a child >&2"])', "of a child"),
        ("faulthandler.enable(); os.abort()", "Fatal Python error: Aborted"),
        ("faulthandler.dump_traceback_later(0.1, exit=True); threading.Event().wait()", "Timeout"),
        ('print("last words", file=sys.stderr); os._exit(3)', "last words"),
    ],
)
def test_what_goes_past_the_loggers_is_json_too(program: str, told: str) -> None:
    text = textwrap.dedent(PREAMBLE) + program
    _, lines = ended([sys.executable, "-W", "always", "-c", text], dict(os.environ))
    assert told in "".join(form["message"] + form.get("traceback", "") for form in lines)
    assert "secret" not in str(lines)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_installation_whose_parts_are_hurt_writes_nothing_else(tmp_path: Path, jpeg: bytes) -> None:
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, "serve"], env=environment(tmp_path / "data", PORT=str(port)), stdout=log, stderr=log
        )

    def text() -> str:
        return (tmp_path / "log").read_text(errors="replace")

    def child(name: str) -> psutil.Process:
        (found,) = [
            one
            for one in psutil.Process(process.pid).children()
            if name in one.cmdline()[-1:] + one.cmdline()[:1]
        ]
        return found

    def sent(data: bytes) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/detections", data)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(json.load(answer)["id"])
        except OSError:
            return ""

    try:
        wait_until(lambda: "serving on" in text(), 90)
        assert sent(jpeg)
        assert sent(jpeg[:-40])
        wait_until(lambda: "is done" in text() and "failed: damaged_picture" in text(), 90)
        for number, name in enumerate(("worker", "web"), 1):
            child(name).send_signal(signal.SIGSEGV)
            wait_until(lambda here=number: text().count("exited with status") == here, 60)  # type: ignore[misc]  # mypy infers no lambda with a default
        wait_until(lambda: sent(jpeg) != "", 90)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"this is no HTTP\r\n\r\n")
            client.recv(100)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: text().count("exited with status") == 4, 120)  # worker and web process
    finally:
        process.terminate()
        process.wait(40)
    lines = forms(text())
    assert {"serve", "web", "worker"} <= {form["part"] for form in lines}
    assert process.returncode == 0
