"""What `serve` holds together: started anew piece by piece, and after its own death."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.installation import SENDERS, Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

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
            if len(ids) >= 100 and not before & _family(serving.pid):
                break
            wait_until(lambda: house.jobs.count() < 100, 60)
    assert not before & _family(serving.pid), "each of them is another process now"
    assert serving.poll() is None
    assert house.outcomes(ids) == {"done": len(ids)}


def test_restarts_that_meet_processes_in_their_first_moments_are_as_good_as_others(
    house: Installation,
) -> None:
    serving = house.start_serve()
    ids = house.send_many(20)
    for _ in range(5):
        serving.send_signal(signal.SIGHUP)
        time.sleep(0.5)
    assert house.outcomes([*ids, *house.in_flight(50).land()]) == {"done": 70}
    assert serving.poll() is None
    ends = _ends(house)
    assert len(ends) >= 3
    assert {end["level"] for end in ends} == {"info"}
    assert all(end["message"].endswith("restarts in 0.0 s") for end in ends)


def test_workers_that_grow_are_started_anew_without_an_error_or_a_growing_pause(tmp_path: Path) -> None:
    """Here every picture is too much."""
    house = Installation(tmp_path, DETECTOR_WORKERS="2", DETECTOR_WORKER_RECYCLE_MB="1")
    try:
        house.start_redis()
        house.start_serve()
        assert house.outcomes(house.send_many(12)) == {"done": 12}
        ends = _ends(house)
        assert len(ends) >= 4
        assert {end["level"] for end in ends} == {"info"}
        assert all(end["message"].endswith("restarts in 0.5 s") for end in ends)
    finally:
        house.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children with their parent")
def test_a_killed_supervisor_loses_nothing(house: Installation, recovered: Recovered) -> None:
    serving = house.start_serve()
    house.wait_for_workers(2)
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
    assert house.outcomes(flight.land()) == {"done": 100}


def _ends(house: Installation) -> list[dict[str, str]]:
    """Return what the supervisor wrote about processes that ended."""
    lines = (house.folder / "log.txt").read_text().splitlines()
    forms = [json.loads(line) for line in lines if line.startswith("{")]
    return [form for form in forms if "exited with status" in form["message"]]


def _family(pid: int) -> set[int]:
    """Return the workers and the web process of a supervisor."""
    return {child.pid for child in psutil.Process(pid).children() if not _makes_json(child)}


def _makes_json(process: psutil.Process) -> bool:
    """Tell whether it is what makes JSON of the others' stderr, which stays as long as they do."""
    try:
        return any("json_stderr" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False
