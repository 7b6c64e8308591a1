"""A bounded run of the fuzzing, and that the fuzzing notices what it looks for."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A function that has a process of the fuzzing run a line of Python in place of reading a file."""
    monkeypatch.syspath_prepend(str(PROJECT))
    monkeypatch.chdir(PROJECT)
    from fuzz.__main__ import Harm, Victim

    def give(line: str) -> str:
        victim = Victim("python")
        try:
            return victim.give(line.encode())
        except Harm as harm:
            return f"harm: {harm}"
        finally:
            victim.end()

    return give


def test_the_fuzzing_notices_a_crash_an_exception_and_what_fills_the_memory(
    give: Callable[[str], str],
) -> None:
    assert give("pass") == "used"
    assert give("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") == (
        "harm: the process ended with status -11"
    )
    assert "harm: it raised ZeroDivisionError" in give("1 / 0")
    assert "harm: it needed" in give("bytearray(800 << 20)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "seconds"),
    [
        ("pictures", 8),
        ("checkpoints", 5),
        ("onnx", 4),
        ("labels", 3),
        ("forms", 3),
        ("results", 3),
        ("annotations", 3),
        ("datasets", 6),
    ],
)
def test_no_mutated_file_ends_hangs_or_fills_the_process(target: str, seconds: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", target, "--seconds", str(seconds), "--keep", str(tmp_path)]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=110, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (total,) = [line for line in answer.stdout.splitlines() if line.startswith("| all |")]
    assert int(total.split("|")[2]) > 50
