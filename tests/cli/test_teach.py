import shlex
import sys

import pytest
from click.testing import CliRunner

from flask_detector.cli import main
from flask_detector.errors import TeachingError
from flask_detector.process import extras
from flask_detector.teach.run import require_packages


def test_without_pytorch_it_says_the_one_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in {"torch", "kornia"} else object())

    with pytest.raises(TeachingError, match=r"not installed: torch, kornia\.") as raised:
        require_packages()
    command = raised.value.hint.removeprefix("Install them: ")
    assert shlex.split(command)[:5] == [sys.executable, "-m", "pip", "install", "flask-detector[teach]"]


def test_its_help_says_what_it_does_without_importing_pytorch() -> None:
    answer = CliRunner().invoke(main, ["teach", "--help"])

    assert answer.exit_code == 0
    assert "Teach a model new classes from a few pictures" in answer.output
