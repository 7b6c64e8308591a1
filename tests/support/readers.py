"""The programs of the field, in the environment that `make .venv/.readers` sets up."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PROJECT = Path(__file__).parents[2]
_PYTHON = _PROJECT / ".venv" / "readers" / "bin" / "python"

READERS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not _PYTHON.exists() and "CI" not in os.environ,
        reason="the readers are not installed: make .venv/.readers",
    ),
]


def read(script: str, *arguments: object, stdin: str | None = None) -> Any:
    """Return the JSON that a script of the folder `tests/formats/readers` prints."""
    answer = subprocess.run(
        [_PYTHON, _PROJECT / "tests" / "formats" / "readers" / f"{script}.py", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_PROJECT / "src"), "QT_QPA_PLATFORM": "offscreen"},
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)
