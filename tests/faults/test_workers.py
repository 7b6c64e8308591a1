"""Workers that die, hang, stop and come back."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from flask_detector.jobs.states import TRIES
from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_what_a_killed_worker_had_in_hand_is_finished_by_another(
    where: str, installation: Installation, recovered: Recovered
) -> None:
    slow = installation.send_until_accepted(picture("wait 3"))
    arguments = [where] if where == "elsewhere" else []
    for _ in range(2):
        installation.start_faulty_worker(*arguments)
    flight = installation.in_flight()
    installation.wait_until_running(slow)
    os.kill(installation.holder_of(slow), signal.SIGKILL)
    seconds = wait_until(lambda: installation.record(slow).status == "done", 40) - 3
    recovered(f"worker killed in the middle of a detection, the other one {where}", seconds)
    assert seconds < 20
    assert installation.outcomes([slow, *flight.land()]) == {"done": 101}


def test_a_picture_that_kills_every_worker_fails_and_harms_no_other(
    installation: Installation, recovered: Recovered
) -> None:
    start = time.monotonic()
    deadly = installation.send_until_accepted(picture("die"))
    flight = installation.in_flight()
    workers = [installation.start_faulty_worker() for _ in range(2)]

    def has_ended() -> bool:
        for i, worker in enumerate(workers):
            if worker.poll() is not None:  # what a supervisor does
                workers[i] = installation.start_faulty_worker()
        return installation.record(deadly).status.is_final

    wait_until(has_ended, 100)
    recovered("a picture kills every worker that touches it (3 workers)", time.monotonic() - start)
    failure = installation.record(deadly).failure
    assert failure is not None
    assert f"{TRIES} times" in failure.message
    assert installation.outcomes([deadly, *flight.land()]) == {"done": 100, "failed": 1}


def test_an_error_that_nobody_thought_of_fails_after_three_tries_and_harms_no_other(
    installation: Installation,
) -> None:
    broken = installation.send_until_accepted(picture("break"))
    worker = installation.start_faulty_worker()
    assert installation.outcomes([broken, *installation.in_flight(50).land()]) == {"done": 50, "failed": 1}
    failure = installation.record(broken).failure
    assert failure is not None
    assert "nobody thought" not in failure.message + failure.hint
    assert worker.poll() is None


@pytest.mark.parametrize("how", ["hang", "hang hard"])
def test_a_worker_that_hangs_in_native_code_ends_and_another_does_its_picture(
    how: str, tmp_path: Path, recovered: Recovered
) -> None:
    installation = Installation(tmp_path, DETECTOR_JOB_TIMEOUT="5")
    try:
        installation.start_redis()
        installation.start_web()
        hanging = installation.start_faulty_worker()
        id = installation.send_until_accepted(picture(how))
        installation.wait_until_running(id)
        start = time.monotonic()
        flight = installation.in_flight()
        installation.start_worker()
        wait_until(lambda: installation.record(id).status == "done", 60)
        recovered(
            f"worker hangs in native code ({how}, 5 s allowed): done by another", time.monotonic() - start
        )
        assert hanging.wait(30) != 0
        assert installation.outcomes([id, *flight.land()]) == {"done": 101}
    finally:
        installation.close()


def test_a_picture_that_each_worker_hangs_on_fails_with_the_model_s_name(tmp_path: Path) -> None:
    installation = Installation(tmp_path, DETECTOR_JOB_TIMEOUT="1")
    try:
        installation.start_redis()
        installation.start_web()
        id = installation.send_until_accepted(picture("hang"))
        for _ in range(TRIES):
            assert installation.start_faulty_worker().wait(60) != 0
        found = installation.record(id)
        assert found.status == "failed"
        assert found.failure is not None
        assert re.search(r"by the model nanodet-g .*longer than 1 seconds", found.failure.message)
    finally:
        installation.close()


def test_a_worker_that_was_thought_dead_and_comes_back_doubles_nothing(
    installation: Installation, recovered: Recovered
) -> None:
    slow = installation.send_until_accepted(picture("wait 2"))
    installation.start_faulty_worker("elsewhere")
    installation.wait_until_running(slow)
    stopped = installation.holder_of(slow)
    os.kill(stopped, signal.SIGSTOP)
    installation.start_faulty_worker("elsewhere")
    start = time.monotonic()
    flight = installation.in_flight()
    wait_until(lambda: installation.record(slow).status == "done", 60)
    recovered("worker stopped (as by a debugger or a full machine)", time.monotonic() - start - 2)
    os.kill(stopped, signal.SIGCONT)
    assert installation.outcomes([slow, *flight.land()]) == {"done": 101}


def test_two_workers_on_one_picture_give_one_result(installation: Installation) -> None:
    for _ in range(2):
        installation.start_faulty_worker("elsewhere")
    installation.wait_for_workers(2)
    slow = installation.send_until_accepted(picture("wait 3"))
    flight = installation.in_flight(50)
    installation.wait_until_running(slow)
    first = installation.holder_of(slow)
    os.kill(first, signal.SIGSTOP)  # so that it has not ended before the other one begins
    # The other one is told to take it, too, as after a partition of the network.
    key = f"rq:job:{slow}"
    with installation.connection.pipeline() as pipeline:
        pipeline.hset(key, "status", "queued")
        pipeline.lpush(installation.jobs.queue.key, slow)
        pipeline.execute()
    wait_until(lambda: len(list(installation.connection.scan_iter(f"rq:execution:{slow}:*"))) == 2, 30)
    os.kill(first, signal.SIGCONT)
    assert installation.outcomes([slow, *flight.land()]) == {"done": 51}


def test_sigterm_gives_back_what_would_take_too_long_and_loses_nothing(
    installation: Installation, recovered: Recovered
) -> None:
    slow = installation.send_until_accepted(picture("wait 15"))
    first = installation.start_faulty_worker()
    installation.wait_until_running(slow)
    flight = installation.in_flight()
    start = time.monotonic()
    first.terminate()
    assert first.wait(20) == 0
    recovered("SIGTERM with a long detection in hand: given back after", time.monotonic() - start)
    assert time.monotonic() - start < 10 + 5  # Docker kills after ten; the rest is for a busy machine
    installation.start_faulty_worker()
    assert installation.outcomes([slow, *flight.land()]) == {"done": 101}
    retries = installation.connection.hget(f"rq:job:{slow}", "retries_left")
    assert retries is not None
    assert int(retries) == TRIES - 1  # that it was given back was not the picture's fault


def test_sigterm_in_the_first_moments_of_a_worker_loses_nothing(installation: Installation) -> None:
    ids = installation.send_many(100)
    for moment in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0):
        worker = installation.start_worker()
        time.sleep(moment)
        worker.terminate()
        # Before it has set its handlers the signal simply ends it; there is nothing in its hands then.
        assert worker.wait(20) in {0, -signal.SIGTERM}
    installation.start_worker()
    assert installation.outcomes(ids) == {"done": 100}
    for id in ids:
        assert installation.connection.hget(f"rq:job:{id}", "retries_left") == str(TRIES - 1).encode()


def test_workers_that_are_replaced_one_by_one_under_load_fail_nothing(installation: Installation) -> None:
    workers = [installation.start_worker() for _ in range(2)]
    installation.wait_for_workers(2)
    flight = installation.in_flight()
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 10, 60)
    for worker in workers:
        new = installation.start_worker()
        worker.terminate()
        assert worker.wait(30) == 0
        assert new.poll() is None
    assert installation.outcomes(flight.land()) == {"done": 100}


def test_a_picture_that_is_deleted_while_it_waits_is_done_by_nobody(installation: Installation) -> None:
    deleted = installation.send_until_accepted(picture("die"))
    kept = installation.send_many(20)
    assert installation.ask("DELETE", f"/api/v1/detections/{deleted}").status == 204
    worker = installation.start_faulty_worker()
    assert installation.outcomes(kept) == {"done": 20}
    assert worker.poll() is None
    assert list(installation.connection.scan_iter(f"rq:*{deleted}*")) == []
