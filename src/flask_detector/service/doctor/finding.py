"""What a check reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a finding is; a problem keeps the installation from working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One result of a check; `hint` says what to do unless the level is OK."""

    level: Level
    message: str
    hint: str = ""


Findings = Iterator[Finding]


def ok(message: str) -> Finding:
    """Return the finding that nothing is wrong."""
    return Finding(Level.OK, message)


def warning(message: str, hint: str) -> Finding:
    """Return the finding that something works, but may not do so always or for everybody."""
    return Finding(Level.WARNING, message, hint)


def problem(message: str, hint: str) -> Finding:
    """Return the finding that something does not work."""
    return Finding(Level.PROBLEM, message, hint)
