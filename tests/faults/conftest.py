"""Real processes that are hurt on purpose. `pytest tests/faults` prints how long each recovery took."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.installation import Installation, Recovered


@pytest.fixture(scope="module")
def lasting_installation(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    """Redis and the web process of all tests of a file; its SETTINGS are added to theirs."""
    found = Installation(
        tmp_path_factory.mktemp("installation"),
        DETECTOR_JOB_TIMEOUT="20",
        DETECTOR_ALLOW_PRIVATE_ADDRESSES="1",
        **getattr(request.module, "SETTINGS", {}),
    )
    try:
        found.start_redis()
        found.start_web()
        yield found
    finally:
        found.close()


@pytest.fixture
def installation(lasting_installation: Installation) -> Installation:
    """Redis and the web process, with nothing in them; the test starts workers."""
    lasting_installation.start_afresh()
    return lasting_installation


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
