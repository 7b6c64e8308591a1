"""The scripts' own tests, which need no browser, run by node."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("units")


def test_the_scripts_pass_their_own_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on PATH")
    files = sorted(map(str, FOLDER.glob("*.test.js")))
    run = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
