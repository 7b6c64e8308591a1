"""The worker, as real processes on a real Redis."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from PIL import Image

from flask_detector.errors import DetectionExpired, DetectionNotFinished
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.states import TRIES, JobStatus
from flask_detector.service.metrics import RETRIES, read
from flask_detector.settings import Settings
from flask_detector.storage.base import ORIGINAL, Storage
from tests.support.stack import environment_of
from tests.support.waiting import wait_until

Start = Callable[[], "subprocess.Popen[bytes]"]

LIMITS = Limits(25_000_000, 50_000_000)


@pytest.fixture
def submit(jobs: Jobs, storage: Storage, queue_picture: Callable[..., None]) -> Callable[[bytes], str]:
    """A function that stores and queues a picture, as the web does."""

    def submit(data: bytes) -> str:
        id = new_id()
        storage.put(id, ORIGINAL, io.BytesIO(data))
        picture = decode.check(data, LIMITS)
        queue_picture(jobs, id, "picture.jpg", picture)
        return id

    return submit


@pytest.fixture
def start_faulty_worker(
    settings: Settings, redis_url: str
) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """A function that starts a real worker whose detection is replaced by a line of Python."""
    running: list[subprocess.Popen[bytes]] = []
    program = """
import os, time
from pathlib import Path
from flask_detector.worker import rq_worker as worker
from flask_detector.broker.connection import connect
from flask_detector.service.metrics import RETRIES, read
from flask_detector.settings import Settings
from flask_detector.storage import open_storage

detect = worker.detect
told = Path({data_dir!r}, "told")
told.mkdir(parents=True, exist_ok=True)

def detect_when_told(*given, **options):
    # Between two files: one that says that it has begun, and one that the test makes to let it go on.
    (told / "begun").touch()
    while not (told / "go on").exists():
        time.sleep(0.01)
    found = detect(*given, **options)
    (told / "detected").touch()
    return found

def fault(*given, **options):
    {fault}

worker.detect = fault
settings = Settings(data_dir=Path({data_dir!r}), redis_url={redis_url!r}, offline=True)
worker.main(settings, connect({redis_url!r}), open_storage(settings))
"""

    def start(fault: str) -> "subprocess.Popen[bytes]":
        source = program.format(fault=fault, data_dir=str(settings.data_dir), redis_url=redis_url)
        process = subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.DEVNULL)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(10)


WHEN_TOLD = "return detect_when_told(*given, **options)"


@dataclass(frozen=True)
class HeldWorker:
    """A real worker that holds its first picture until the test lets it go on."""

    process: "subprocess.Popen[bytes]"
    _told: Path

    def let_go_on(self) -> None:
        (self._told / "go on").touch()

    def wait_until_detected(self) -> None:
        """Return when the detector has come to its end with that picture."""
        wait_until((self._told / "detected").exists, 20)


@pytest.fixture
def start_held_worker(
    start_faulty_worker: Callable[[str], "subprocess.Popen[bytes]"],
    settings: Settings,
) -> Callable[[], HeldWorker]:
    """A function that starts a worker, and returns when it has its first picture in hand."""

    def start() -> HeldWorker:
        told = settings.data_dir / "told"
        worker = HeldWorker(start_faulty_worker(WHEN_TOLD), told)
        wait_until((told / "begun").exists, 30)
        return worker

    return start


def test_a_picture_is_detected_with_the_model_named(
    jobs: Jobs, submit: Callable[[bytes], str], start_worker: Start, pictures: Path
) -> None:
    id = submit((pictures / "apartment.jpg").read_bytes())
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.DONE, 20)
    found, shown_score = jobs.result(id)
    assert found.model == "nanodet-g"
    assert (found.width, found.height) == (1024, 683)
    assert found.over(shown_score).counts()["chair"] >= 1
    assert next(iter(found.timings)) == "decode"
    assert jobs.find(id).stage is None
    assert [worker.model for worker in jobs.workers()] == ["nanodet-g"]


def test_a_picture_that_an_older_version_queued_is_detected(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_worker: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_detector.jobs.queue.TASK", "flask_detector.worker.run_detection")
    id = submit(small_jpeg())
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.DONE, 20)


def test_instances_below_the_usual_score_are_kept_for_those_who_look(
    jobs: Jobs, submit: Callable[[bytes], str], start_worker: Start, pictures: Path
) -> None:
    id = submit((pictures / "street.jpg").read_bytes())
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.DONE, 20)
    found, shown_score = jobs.result(id)
    assert 0.05 <= found.scores.min() < shown_score


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_held_worker: Callable[[], HeldWorker],
    start_worker: Start,
) -> None:
    ids = [submit(small_jpeg()) for _ in range(6)]
    first = start_held_worker().process
    first.kill()
    first.wait(10)
    assert jobs.find(ids[0]).status is JobStatus.RUNNING  # nobody has noticed yet
    start_worker()
    wait_until(lambda: all(jobs.find(id).status is JobStatus.DONE for id in ids), 30)
    wait_until(
        lambda: [one.total for one in read(jobs.queue.connection) if one.measure is RETRIES] == [1], 10
    )


@pytest.mark.slow
def test_a_picture_that_a_worker_of_an_older_version_took_and_died_before_it_began_is_detected(
    jobs: Jobs,
    connection: redis.Redis,
    submit: Callable[[bytes], str],
    start_worker: Start,
) -> None:
    id = submit(small_jpeg())
    connection.lmove(jobs.queue.key, jobs.queue.intermediate_queue_key)
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.DONE, 30)


@pytest.mark.slow
def test_a_picture_that_kills_every_worker_fails_with_a_reason_and_harms_no_other(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_faulty_worker: Callable[[str], "subprocess.Popen[bytes]"],
    start_worker: Start,
) -> None:
    id = submit(small_jpeg())
    for _ in range(TRIES):
        worker = start_faulty_worker("os._exit(139)")
        assert worker.wait(30) == 139
    other = submit(small_jpeg())
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.FAILED, 20)
    failure = jobs.find(id).failure
    assert failure is not None
    assert failure.code == "detection_failed"
    assert "3 times" in failure.message
    wait_until(lambda: jobs.find(other).status is JobStatus.DONE, 20)


def test_a_detection_that_takes_too_long_is_stopped_with_a_reason(
    connection: redis.Redis,
    settings: Settings,
    storage: Storage,
    start_faulty_worker: Callable[[str], "subprocess.Popen[bytes]"],
    queue_picture: Callable[..., None],
) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"job_timeout": 1}))
    id = new_id()
    queue_picture(jobs, id, "a.jpg", decode.check(small_jpeg(), LIMITS))
    worker = start_faulty_worker("time.sleep(60)")
    wait_until(lambda: jobs.find(id).status is JobStatus.FAILED, 20)
    failure = jobs.find(id).failure
    assert failure is not None
    assert "longer than 1 seconds" in failure.message
    assert worker.poll() is None


def test_a_fault_of_ours_never_shows_its_traceback(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_faulty_worker: Callable[[str], "subprocess.Popen[bytes]"],
) -> None:
    id = submit(small_jpeg())
    start_faulty_worker("raise ZeroDivisionError('secret detail')")
    wait_until(lambda: jobs.find(id).status is JobStatus.FAILED, 20)
    failure = jobs.find(id).failure
    assert failure is not None
    assert "secret" not in failure.message + failure.hint


def test_a_picture_that_is_gone_fails_at_once_with_a_reason(
    jobs: Jobs, storage: Storage, submit: Callable[[bytes], str], start_worker: Start
) -> None:
    id = submit(small_jpeg())
    storage.delete(id)
    start_worker()
    wait_until(lambda: jobs.find(id).status is JobStatus.FAILED, 20)
    failure = jobs.find(id).failure
    assert failure is not None
    assert failure.code == "detection_expired"


def test_a_detection_that_is_deleted_while_it_runs_does_not_come_back(
    jobs: Jobs,
    connection: redis.Redis,
    submit: Callable[[bytes], str],
    start_held_worker: Callable[[], HeldWorker],
) -> None:
    id = submit(small_jpeg())
    worker = start_held_worker()
    jobs.delete(id)
    worker.let_go_on()
    worker.wait_until_detected()
    wait_until_written(jobs, submit)
    with pytest.raises(DetectionExpired):
        jobs.find(id)
    assert list(connection.scan_iter(f"rq:*{id}*")) == []


def test_a_cancelled_detection_stays_cancelled_though_its_worker_finishes(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_held_worker: Callable[[], HeldWorker],
) -> None:
    id = submit(small_jpeg())
    worker = start_held_worker()
    jobs.cancel(id)
    worker.let_go_on()
    worker.wait_until_detected()
    wait_until_written(jobs, submit)
    assert jobs.find(id).status is JobStatus.CANCELLED
    with pytest.raises(DetectionNotFinished):
        jobs.result(id)


def wait_until_written(jobs: Jobs, submit: Callable[[bytes], str]) -> None:
    """Return when the only worker has written what became of its pictures: the next one ends after that."""
    following = submit(small_jpeg())
    wait_until(lambda: jobs.find(following).status is JobStatus.DONE, 20)


def test_sigterm_lets_the_picture_in_hand_finish(
    jobs: Jobs,
    submit: Callable[[bytes], str],
    start_held_worker: Callable[[], HeldWorker],
) -> None:
    id = submit(small_jpeg())
    worker = start_held_worker()
    worker.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(0.5)  # it is told and goes on
    worker.let_go_on()
    assert worker.process.wait(20) == 0
    assert jobs.find(id).status is JobStatus.DONE


def test_a_worker_that_has_grown_ends_after_its_picture_and_loses_none(
    submit: Callable[[bytes], str],
    jobs: Jobs,
    settings: Settings,
    jpeg: bytes,
) -> None:
    ids = [submit(jpeg) for _ in range(2)]
    command = [sys.executable, "-m", "flask_detector", "worker"]
    environment = {**environment_of(settings), "DETECTOR_WORKER_RECYCLE_MB": "1"}
    for done in (1, 2):
        worker = subprocess.run(command, env=environment, timeout=60, check=False)
        assert worker.returncode == 0
        assert [jobs.find(id).status for id in ids].count(JobStatus.DONE) == done


def test_pictures_whose_records_expired_are_swept_away(
    connection: redis.Redis,
    settings: Settings,
    storage: Storage,
    start_worker: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = new_id()
    storage.put(id, ORIGINAL, io.BytesIO(b"pixels"))
    (folder,) = (settings.data_dir / "pictures").glob(f"*/{id}")
    os.utime(folder, (time.time() - 60, time.time() - 60))
    monkeypatch.setenv("DETECTOR_RETENTION_HOURS", str(1 / 3600))
    start_worker()

    def is_gone() -> bool:
        try:
            storage.get(id, ORIGINAL)
        except FileNotFoundError:
            return True
        return False

    wait_until(is_gone, 20)


def small_jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 120, 40)).save(file, "JPEG")
    return file.getvalue()
