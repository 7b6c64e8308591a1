"""Hosts whose clocks are wrong, or jump while they work."""

import time
from pathlib import Path

import pytest

from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_HOURS = 3600


def test_hosts_with_other_times_and_clocks_that_jump_lose_and_double_nothing(
    installation: Installation, tmp_path: Path, recovered: Recovered
) -> None:
    ahead, behind = tmp_path / "ahead", tmp_path / "behind"
    ahead.write_text(str(5 * _HOURS))
    behind.write_text(str(-5 * _HOURS))
    slow = [installation.send_until_accepted(picture("wait 14")) for _ in range(2)]
    workers = [installation.start_faulty_worker("elsewhere", CLOCK_FILE=str(c)) for c in (ahead, behind)]
    for id in slow:
        installation.wait_until_running(id)
    holders = {id: installation.holder_of(id) for id in slow}
    flight = installation.in_flight()
    # Both look after what is abandoned, by clocks ten hours apart: each other's work is not.
    time.sleep(3)
    ahead.write_text(str(-20 * _HOURS))
    behind.write_text(str(20 * _HOURS))
    start = time.monotonic()
    wait_until(lambda: all(installation.record(id).status == "done" for id in slow), 60)
    recovered("clocks of two workers jump by 25 hours: nothing to make up for", 0.0)
    assert time.monotonic() - start < 40
    assert {worker.pid for worker in workers} == set(holders.values())
    assert installation.outcomes([*slow, *flight.land()]) == {"done": 102}
    for id in slow:  # nobody took it away from whoever had it
        assert installation.connection.hget(f"rq:job:{id}", "retries_left") == b"2"
    assert [worker.poll() for worker in workers] == [None, None]
