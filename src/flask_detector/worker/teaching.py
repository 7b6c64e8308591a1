"""Each worker sees to it that a process teaches while a run waits, where PyTorch is installed.

That process (`teacher.py`) is a child of a worker that detects: it ends with it, and is gone when nothing is
to be taught.
"""

import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from flask_detector.detectors.base import usable_cores
from flask_detector.jobs.lessons import TEACHER_DIED, Lessons
from flask_detector.jobs.queue import Jobs
from flask_detector.process.extras import missing_for_teaching
from flask_detector.process.logs import facts, short
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.left_behind import LeftBehind
from flask_detector.worker.process_id import of_process
from flask_detector.worker.teacher_pause import Pauser
from flask_detector.worker.teacher_pulse import SILENCE

log = logging.getLogger(__name__)

TEACHER: Final = "flask_detector.worker.teacher"

# Where the process fails by itself, another one is started after this.
_PAUSE_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Teaching:
    """One worker's share of it.

    folder: tells this machine's data from that of others.
    fifo: is held open by who detects; see `teacher_pause`.
    """

    def __init__(self, jobs: Jobs, folder: str, fifo: Path) -> None:
        self._jobs = jobs
        self._folder = folder
        self._fifo = fifo
        self._lessons = Lessons(jobs.queue.connection)
        self._attempts = Attempts(
            self._lessons.queue, worker="", location="", died=TEACHER_DIED, silence=SILENCE
        )
        self._left = LeftBehind(
            self._attempts,
            on_given_back=lambda id, _: self._log("run %s of teaching was left by a process that died", id),
        )
        self._can_teach = not missing_for_teaching()
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def run(self) -> None:
        """Give back what dead processes left, and start one that is wanted; raises BrokerUnavailable."""
        if self._process is not None and self._process.poll() is None:
            self._keep(self._process.pid)
        self._left.give_back()
        if self._process is not None and self._process.poll() is not None:
            if self._process.returncode > 0:
                self._not_before = time.monotonic() + _PAUSE_SECONDS
            self._process = None
        if self._process is None and self._can_teach and time.monotonic() >= self._not_before:
            wanted = self._lessons.is_one_for(self._folder, self._jobs.workers())
            if wanted and not self._lessons.has_teacher():
                self._start()

    def stop(self) -> None:
        """Have the process keep what it has reached, and end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _keep(self, pid: int) -> None:
        """Keep run and turn of our process: it has no time for that while others want the processor."""
        if self._attempts.keep(of_process(pid)):
            self._lessons.keep_turn(SILENCE)

    def _start(self) -> None:
        # Of a session of its own: Linux shares the processor out among sessions first.
        self._process = subprocess.Popen(
            [sys.executable, "-m", TEACHER, str(os.getpid()), self._folder],
            env={**os.environ, "OMP_NUM_THREADS": str(usable_cores())},
            start_new_session=True,
        )
        with suppress(OSError):  # a folder shared by SMB, for example, has no FIFOs: nothing is paused there
            Pauser(self._process, self._fifo).start()

    @staticmethod
    def _log(line: str, id: str) -> None:
        log.warning(line, short(id), extra=facts(run=short(id)))
