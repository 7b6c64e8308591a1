"""What `serve` holds together: started anew piece by piece, and after its own death."""

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from .conftest import Recovered
from .installation import SENDERS, Installation, picture, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Installation]:
    """Redis alone; the test runs `serve`."""
    found = Installation(tmp_path, DETECTOR_WORKERS="2")
    try:
        found.start_redis()
        yield found
    finally:
        found.close()


def test_a_rolling_restart_under_load_refuses_and_fails_nothing(house: Installation) -> None:
    serving = house.start_serve()
    before = _family(serving.pid)

    def send(_: int) -> str:
        answer = house.send(picture())  # once: a refused or broken connection is an error
        assert answer.status == 202
        return str(answer.form["id"])

    ids: list[str] = []
    with ThreadPoolExecutor(SENDERS) as pool:
        serving.send_signal(signal.SIGHUP)
        for _ in range(200):
            ids += pool.map(send, range(SENDERS))
            if len(ids) >= 200 and not before & _family(serving.pid):
                break
            wait_until(lambda: house.jobs.count() < 100, 60)
    assert not before & _family(serving.pid), "each of them is another process now"
    assert serving.poll() is None
    assert house.outcomes(ids) == {"done": len(ids)}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children with their parent")
def test_a_killed_supervisor_loses_nothing(house: Installation, recovered: Recovered) -> None:
    serving = house.start_serve()
    family = [psutil.Process(pid) for pid in _family(serving.pid)]
    flight = house.in_flight()
    wait_until(lambda: house.connection.zcard("rq:finished:detections") > 10, 60)
    serving.kill()
    serving.wait(20)
    gone, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    house.start_serve()
    done = house.connection.zcard("rq:finished:detections")
    recovered(
        "supervisor killed and started again: next result after its pages answer",
        wait_until(lambda: house.connection.zcard("rq:finished:detections") > done, 60),
    )
    assert len(gone) == len(family)
    assert house.outcomes(flight.land()) == {"done": 200}


def _family(pid: int) -> set[int]:
    """Return the workers and the web process of a supervisor."""
    return {child.pid for child in psutil.Process(pid).children()}
