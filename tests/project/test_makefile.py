"""What a newcomer meets whose Python is not what is needed."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(PROJECT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def make_run(folder: Path, python: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "--no-print-directory", "run", f"PYTHON={python}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def script(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("old", [True, False])
def test_a_python_that_is_missing_or_too_old_is_told_in_one_sentence(folder: Path, old: bool) -> None:
    python = script(folder, 'test "$1" != -c') if old else "no-such-python"
    told = make_run(folder, python)
    assert told.returncode != 0
    first, last = told.stderr.splitlines()
    assert first.startswith(f"flask-detector needs Python 3.11 or newer, and {python} is none: name one with")
    assert "Error" in last  # make's own


def test_a_venv_that_could_not_be_made_is_not_taken_for_one_the_next_time(folder: Path) -> None:
    python = script(
        folder, 'test "$1" = -c && exit; mkdir -p .venv/bin; touch .venv/bin/python; echo sorry >&2; exit 1'
    )
    for _ in range(2):
        told = make_run(folder, python)
        assert told.stderr.startswith("sorry\n")
        assert not (folder / ".venv").exists()
