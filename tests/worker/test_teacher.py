"""The process that teaches from a collection: what comes of a run, and how it is stopped and killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections, Limits
from flask_detector.jobs.lessons import LessonRequest, Lessons
from flask_detector.process.extras import missing_for_teaching
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.structures.annotation import Annotation
from flask_detector.structures.annotations import Annotations
from flask_detector.worker.attempts import Attempts
from tests.support.lessons import picture
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_for_teaching()), reason="what teaching needs is not installed"),
]

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def pictures(settings: Settings, connection: redis.Redis) -> Pictures:
    return Pictures(Collections(open_storage(settings), connection, Limits.of(settings)))


@pytest.fixture
def collection(pictures: Pictures) -> str:
    """Six pictures with objects, two of them for validation and two called the same."""
    id = pictures.collections.create("Walls", None).id
    for number in range(6):
        data, objects = picture(number)
        marked = tuple(
            Annotation(f"p{n}", label, "person", None, False, (x, y, x + width, y + height))
            for n, (label, (x, y, width, height)) in enumerate(objects)
        )
        pictures.add(
            id,
            data,
            Annotations(160, 120, marked, tuple(one.label for one in marked), number % 2 == 0),
            file_name="a.png" if number < 2 else f"{number}.png",
            split="val" if number > 3 else "train",
        )
    return id


@pytest.fixture
def lessons(connection: redis.Redis) -> Lessons:
    return Lessons(connection)


@pytest.fixture
def start(settings: Settings, redis_url: str) -> Iterator[Start]:
    """A function that starts the process that teaches, in so many steps."""
    running: list[subprocess.Popen[bytes]] = []

    def start(steps: int = 2) -> "subprocess.Popen[bytes]":
        program = ["-m", "tests.support.small_teacher", str(os.getpid()), "here"]
        environment = {**os.environ, "REDIS_URL": redis_url, "DETECTOR_DATA_DIR": str(settings.data_dir)}
        environment |= {"LESSON_STEPS": str(steps)}
        running.append(subprocess.Popen([sys.executable, *program], env=environment))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait(10)


def test_a_collection_is_taught_and_what_came_of_it_is_in_the_storage(
    settings: Settings, lessons: Lessons, collection: str, start: Start
) -> None:
    ids = [lessons.enqueue(LessonRequest(collection, "nanodet-g", name), "Walls") for name in ("a", "b")]
    missing = lessons.enqueue(LessonRequest("0" * 32, "nanodet-g", "c"), "Gone")

    assert start().wait(120) == 0

    assert [lessons.find(id).status for id in ids] == ["done", "done"]
    failure = lessons.find(missing).failure
    assert failure is not None
    assert failure.code == "unknown_collection"
    for id in ids:
        run = lessons.find(id)
        report = json.loads(open_storage(settings).read(f"{run.path}/report.json"))
        card = report["card"]
        assert (card["training"], card["validation"], card["classes"]) == (4, 2, ["brick", "tile"])
        assert set(report["pictures"]) == {"a.png", "a-2.png", "2.png", "3.png", "4.png", "5.png"}
        assert {one["name"] for one in report["proof"]} == {"4.png", "5.png"}
        assert len(open_storage(settings).read(f"{run.path}/model.safetensors")) > 1_000_000
        assert run.progress.part == 1
        assert any(said.startswith("Teaching brick, tile from 4 pictures") for said in run.progress.said)
    # None of them is a model before somebody adds it, and of the runs themselves nothing is left here.
    assert not list((settings.data_dir / "models").glob("*/model.json"))
    assert list((settings.data_dir / "teach" / ".queued").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_goes_on_from_its_checkpoint_also_where_the_collection_has_changed(
    settings: Settings,
    connection: redis.Redis,
    lessons: Lessons,
    pictures: Pictures,
    collection: str,
    start: Start,
    number: signal.Signals,
) -> None:
    id = lessons.enqueue(LessonRequest(collection, "nanodet-g", "a"), "Walls")
    process = start(10_000)
    wait_until(lambda: lessons.find(id).progress.part > 0 and bool(checkpoints(settings, id)), 120)
    process.send_signal(number)
    assert process.wait(30) == (-number if number is signal.SIGKILL else 0)
    pictures.remove(collection, [entry.id for entry in pictures.entries(collection)][:2])
    if number is signal.SIGKILL:
        connection.delete("flask-detector:teacher")  # as it expires
        (execution,) = Attempts(lessons.queue, worker="", location="").running()
        assert Attempts(lessons.queue, worker="", location="").give_back(execution, as_a_try=True) == "queued"

    assert start(2).wait(120) == 0

    run = lessons.find(id)
    assert run.status == "done"
    assert json.loads(open_storage(settings).read(f"{run.path}/report.json"))["card"]["training"] == 4
    assert run.progress.said[0].startswith("Going on from where the last run was stopped")


def checkpoints(settings: Settings, id: str) -> list[Path]:
    return list((settings.data_dir / "teach" / ".queued" / id).glob("*.pt"))


def test_a_run_that_is_cancelled_ends_within_seconds_and_the_next_one_begins(
    settings: Settings, lessons: Lessons, collection: str, start: Start
) -> None:
    first, second = (
        lessons.enqueue(LessonRequest(collection, "nanodet-g", name), "Walls") for name in ("a", "b")
    )
    process = start(10_000)
    wait_until(lambda: lessons.find(first).progress.part > 0, 120)

    lessons.cancel(first)

    wait_until(lambda: lessons.find(second).progress.part > 0, 60)
    assert lessons.find(first).status == "cancelled"
    assert not (settings.data_dir / "teach" / ".queued" / first).exists()
    lessons.delete(second)
    assert process.wait(60) == 0
