"""``flask-detector worker --workers N``, against a real Redis."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from flask_detector.jobs.queue import Jobs
from flask_detector.settings import Settings
from tests.support.stack import environment_of
from tests.support.waiting import wait_until


@pytest.fixture
def crew(settings: Settings, connection: redis.Redis) -> Iterator["subprocess.Popen[bytes]"]:
    """Two workers and what watches over them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_detector", "worker", "--workers", "2"], env=environment_of(settings)
    )
    yield process
    process.kill()
    process.wait(10)


def workers_of(crew: "subprocess.Popen[bytes]") -> set[int]:
    children = psutil.Process(crew.pid).children(recursive=True)
    return {child.pid for child in children if not makes_json(child)}


def makes_json(process: psutil.Process) -> bool:
    """Whether it is what makes JSON of the others' stderr, which stays as long as they do."""
    try:
        return any("json_stderr" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_as_many_workers_work_as_were_asked_for_and_what_dies_is_started_again(
    crew: "subprocess.Popen[bytes]", settings: Settings, connection: redis.Redis
) -> None:
    jobs = Jobs(connection, settings)
    wait_until(lambda: len(jobs.workers()) == 2, 30)
    before = workers_of(crew)
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(workers_of(crew)) == 2 and workers_of(crew) != before, 30)

    crew.send_signal(signal.SIGTERM)
    assert crew.wait(30) == 0
    assert all(not psutil.pid_exists(pid) for pid in before)
    wait_until(lambda: jobs.workers() == [], 30)


@pytest.mark.slow
def test_on_sighup_the_workers_are_started_anew_and_one_is_always_there(
    crew: "subprocess.Popen[bytes]", settings: Settings, connection: redis.Redis
) -> None:
    jobs = Jobs(connection, settings)
    wait_until(lambda: len(jobs.workers()) == 2, 30)
    before = workers_of(crew)
    crew.send_signal(signal.SIGHUP)

    def are_all_new() -> bool:
        assert jobs.workers() != []
        now = workers_of(crew)
        return len(now) == 2 and not now & before

    wait_until(are_all_new, 60)


def test_a_redis_that_does_not_answer_is_said(tmp_path: Path) -> None:
    failed = subprocess.run(
        [sys.executable, "-m", "flask_detector", "worker", "--workers", "2"],
        env={**os.environ, "REDIS_URL": "redis://127.0.0.1:1", "DETECTOR_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 1
    assert "REDIS_URL" in failed.stderr
    assert "Traceback" not in failed.stderr
