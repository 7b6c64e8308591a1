"""What the doctor finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is: as it should be, worth a thought, or in the way."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `hint` says what to do where it is not as it should be."""

    what: str
    level: Level
    message: str
    hint: str = ""


Findings = Iterator[Finding]


def ok(what: str, message: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(what, Level.OK, message)
