"""Only packages under allowed licences are installed with the program, and the list of them is complete."""

import subprocess
import sys
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "licences.py"


@pytest.fixture
def licences(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import licences  # type: ignore[import-not-found]  # of the folder that was just added

    return licences


def package(**facts: str) -> SimpleNamespace:
    metadata = Message()
    for name, value in facts.items():
        metadata[name.replace("_", "-")] = value
    return SimpleNamespace(metadata=metadata)


def test_what_is_installed_is_allowed_and_listed() -> None:
    answer = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("BSD-3-Clause AND 0BSD AND MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-only", False),
        ("Proprietary", False),
        ("unknown", False),
    ],
)
def test_each_licence_of_an_expression_must_be_allowed(licences: Any, expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression) == allowed


@pytest.mark.parametrize(
    ("facts", "licence"),
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: Apache Software License"}, "Apache-2.0"),
        ({"License": "BSD"}, "BSD-3-Clause"),
        ({"License": "All rights reserved"}, "All rights reserved"),
        ({}, "unknown"),
    ],
)
def test_a_licence_is_read_from_what_the_package_says(
    licences: Any, facts: dict[str, str], licence: str
) -> None:
    assert licences.licence_of(package(**facts)) == licence
