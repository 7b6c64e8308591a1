"""Real processes that are hurt on purpose. `pytest tests/faults` prints how long each recovery took."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .installation import Installation

Recovered = Callable[[str, float], None]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """Redis and the web process; the test starts workers."""
    found = Installation(tmp_path, DETECTOR_JOB_TIMEOUT="20")
    try:
        found.start_redis()
        found.start_web()
        yield found
    finally:
        found.close()


@pytest.fixture
def recovered(record_property: Callable[[str, object], None]) -> Recovered:
    """A function that keeps how many seconds it took until a fault was made up for."""
    return lambda fault, seconds: record_property("recovery", (fault, round(seconds, 1)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of recoveries."""
    reports = [r for r in terminalreporter.stats.get("passed", []) if r.when == "call"]
    rows = [value for report in reports for name, value in report.user_properties if name == "recovery"]
    if rows:
        terminalreporter.section("recovery times")
    for fault, seconds in rows:
        terminalreporter.write_line(f"{fault:<84} {seconds:6.1f} s")
