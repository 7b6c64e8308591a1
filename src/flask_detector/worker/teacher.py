"""The process that teaches what is queued, one model after another, and ends when nothing is left.

It takes what processor time nobody else wants. Where the system runs out of memory, it is the first to go.
"""

import io
import json
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import redis
from redis.lock import Lock

from flask_detector.broker.connection import connect, persevere
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections
from flask_detector.collections.store import Limits as CollectionLimits
from flask_detector.errors import DetectorError
from flask_detector.jobs.lessons import TURN_KEY, LessonRequest, Lessons, path_of
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import Failure
from flask_detector.jobs.states import JobStatus
from flask_detector.process import available_memory, logs, memory
from flask_detector.process.logs import facts, on_behalf_of, short
from flask_detector.process.parent import die_with_parent
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.teach.lesson import Lesson, Queued
from flask_detector.teach.run import teach
from flask_detector.worker.attempts import Attempt
from flask_detector.worker.lesson_data import CollectionData
from flask_detector.worker.teacher_pulse import LOST, SILENCE, Pulse, attempts_of, has_turn

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# A run that may go on, so that what it has reached is kept.
_GOES_ON = {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FAILED}
_LOWEST_PRIORITY = 19


class Teacher:
    """Teaches what waits, while it has the turn.

    folder: tells this machine's data from that of others.
    """

    def __init__(self, settings: Settings, connection: redis.Redis, turn: Lock, folder: str) -> None:
        self._settings, self._connection, self._turn, self._folder = settings, connection, turn, folder
        self._lessons = Lessons(connection)
        self._jobs = Jobs(connection, settings)
        self._storage = open_storage(settings)
        collections = Collections(self._storage, connection, CollectionLimits.of(settings))
        self._pictures = Pictures(collections)
        self._attempts = attempts_of(self._lessons)
        self._unfinished = settings.data_dir / "teach" / ".queued"
        self._is_teaching = self._is_stopped = False

    def work(self) -> None:
        """Teach until nothing waits, the turn is another's, or a signal asks to stop."""
        for number in (signal.SIGTERM, signal.SIGINT, LOST):
            signal.signal(number, self._interrupt)
        while not self._is_stopped:
            self._delete_left()
            if not has_turn(self._turn):
                return
            if not self._lessons.is_one_for(self._folder, self._jobs.workers()):
                return
            if (attempt := self._attempts.take()) is not None:
                with on_behalf_of(attempt.job.meta.get("request")):
                    self._do(attempt)

    def _do(self, attempt: Attempt) -> None:
        job, request = attempt.job, LessonRequest(**attempt.job.kwargs)
        self._say("begins", attempt)
        job.meta["folder"] = self._folder
        job.save_meta()
        folder = self._unfinished / job.id
        names = folder / "names.json"
        lesson = Lesson(
            Path(request.collection),
            request.base,
            request.name,
            tuple(request.classes),
            request.minutes,
            is_partly_marked=True,
        )
        queued = Queued(
            folder,
            lambda: CollectionData(self._pictures, request.collection, names),
            lambda finished: self._keep(attempt, finished, names),
        )
        pulse = Pulse(self._settings, attempt, self._turn)
        pulse.start()
        try:
            self._is_teaching = True
            teach(lesson, self._settings, pulse, queued=queued)
            self._is_teaching = False
        except KeyboardInterrupt:
            self._attempts.give_back(attempt.execution, as_a_try=False)  # where it is still its own
            self._say("was stopped", attempt)
        except DetectorError as error:
            self._fail(attempt, Failure.of(error))
        except Exception as error:
            log.exception("unexpected error in a run of teaching")
            words = f"It ended by an unexpected error ({type(error).__name__})."
            self._fail(attempt, Failure(DetectorError.code, words, "See the worker's log."))
        finally:
            self._is_teaching = False
            pulse.stop()

    def _keep(self, attempt: Attempt, finished: Path, names: Path) -> None:
        """Put what came of a run into the storage, and end it."""
        self._is_teaching = False  # it is too late to stop it
        path, ids = path_of(attempt.job.id), json.loads(names.read_bytes())
        report = {
            "card": json.loads((finished / "card.json").read_bytes()),
            "proof": json.loads((finished / "proof.json").read_bytes()),
            "pictures": ids,
        }
        (model,) = finished.glob("*.safetensors")
        with model.open("rb") as file:
            self._storage.write(f"{path}/model.safetensors", file)
        self._storage.write(f"{path}/report.json", io.BytesIO(json.dumps(report).encode()))
        if self._persevere(lambda: self._attempts.finish(attempt, {})):
            self._say("is done", attempt)
        else:
            self._storage.remove_folder(path)

    def _fail(self, attempt: Attempt, failure: Failure) -> None:
        self._say(f"failed: {failure.message}", attempt)
        self._persevere(lambda: self._attempts.fail(attempt, failure))

    def _delete_left(self) -> None:
        """Delete what is left here of runs that were cancelled or deleted, or ended on another machine."""
        if self._unfinished.is_dir():
            kept = {run.id for run in self._lessons.all() if run.status in _GOES_ON}
            for folder in self._unfinished.iterdir():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def _persevere(self, act: Callable[[], _T]) -> _T:
        return persevere(act, is_over=lambda: self._is_stopped)

    def _interrupt(self, number: int, frame: object) -> None:
        self._is_stopped = self._is_stopped or number != LOST
        if self._is_teaching:
            self._is_teaching = False
            raise KeyboardInterrupt

    @staticmethod
    def _say(what: str, attempt: Attempt) -> None:
        id = short(attempt.job.id)
        log.info("run %s of teaching %s", id, what, extra=facts(run=id))


def step_back() -> None:
    """Let everything else go first, on the processor, the disk and in memory."""
    os.nice(_LOWEST_PRIORITY)
    if sys.platform == "linux":
        # Linux takes the priority on the disk from it (ioprio.h, task_nice_ioclass: idle).
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        for name, value in {"autogroup": _LOWEST_PRIORITY, "oom_score_adj": 1000}.items():
            with suppress(OSError):  # not every system has both
                Path("/proc/self", name).write_text(f"{value}\n")
        # The worker's limit is for detections.
        resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
        if (left := available_memory.available()) is not None:
            memory.limit(memory.writable_bytes() + left)


def main(parent: int, folder: str) -> None:
    """Teach what waits, as a child of that process, unless another one has the turn."""
    die_with_parent(signal.SIGKILL)  # it may be paused, when other signals wait
    if os.getppid() != parent:
        return
    step_back()
    logs.set_up(os.environ.get("DETECTOR_LOG_FORMAT", ""), "teach")
    settings = Settings.from_environment()
    connection = connect(settings.required_redis_url)
    turn = connection.lock(TURN_KEY, timeout=SILENCE, thread_local=False)
    if turn.acquire(blocking=False):
        try:
            Teacher(settings, connection, turn, folder).work()
        finally:
            with suppress(redis.RedisError):
                turn.release()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
