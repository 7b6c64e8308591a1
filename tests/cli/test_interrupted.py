"""Runs that end before they are done, and the ones that go on; in processes of their own."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

DETECT = [sys.executable, "-m", "flask_detector", "detect"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "DETECTOR_DATA_DIR": str(tmp_path / "data"), "DETECTOR_OFFLINE": "1"}


@pytest.fixture
def folder(tmp_path: Path, pictures: Path) -> Path:
    """A folder with twelve pictures, two of them with the same name."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(11):
        shutil.copy(pictures / "park.jpg", folder / f"{number:02}.jpg")
    shutil.copy(pictures / "park.jpg", folder / "more" / "00.jpg")
    return folder


def ended(
    options: Sequence[str], environment: dict[str, str], **how: Any
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    command = [*DETECT, *options]
    return subprocess.run(command, text=True, env=environment, timeout=100, check=False, **streams)


def test_an_interrupted_run_goes_on_where_it_was(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    options = [str(folder), "--out", str(tmp_path / "out"), "--format", "voc", "--json"]
    process = subprocess.Popen(
        [*DETECT, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped after" in complaints
    assert "Run the same command again to resume." in complaints
    done = [first["file"], *(json.loads(line)["file"] for line in rest.splitlines())]
    assert len(done) < 12
    assert not list((tmp_path / "out").rglob("*.part"))

    second = ended(options, environment)
    assert second.returncode == 0
    # The one that was being written may be done without having been told.
    newly = [json.loads(line)["file"] for line in second.stdout.splitlines()]
    assert not set(newly) & set(done)
    assert "of 12 pictures are already done." in second.stderr
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.xml")
    )
    assert written == [*(f"{number:02}.xml" for number in range(11)), "more/00.xml"]


def test_whoever_stops_reading_ends_the_run_quietly(folder: Path, environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*DETECT, str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert complaints == ""


def test_an_output_that_is_full_is_told(folder: Path, environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        answer = ended([str(folder), "--json"], environment, stdout=full)
    assert answer.returncode == 1
    assert "The output can't be written: No space left on device." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_disk_that_is_full_leaves_no_half_file(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    answer = ended([str(folder), "--out", str(tmp_path / "out")], environment, preexec_fn=no_large_files)
    assert answer.returncode == 1
    assert "can't be written" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_place_that_can_not_be_written_to_is_told(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        answer = ended([str(folder), "--out", str(place)], environment)
        assert answer.returncode == 1
        assert "can't be written" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_the_bar_is_on_a_terminal_only_and_never_in_the_output(
    folder: Path, environment: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*DETECT, str(folder), "--json"], stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment
    )
    os.close(theirs)
    shown = read_all(lambda: os.read(ours, 4096))
    lines, _ = process.communicate(timeout=60)
    os.close(ours)
    assert b"Detecting" in shown
    assert b"12/12" in shown
    assert len([json.loads(line) for line in lines.splitlines()]) == 12
    quiet = ended([str(folder), "--json"], environment)
    assert quiet.stderr == ""


def read_all(read: Callable[[], bytes]) -> bytes:
    """Read a terminal until its other side is closed."""
    pieces: list[bytes] = []
    while True:
        try:
            piece = read()
        except OSError:
            piece = b""
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
