"""Each worker sees to it that a process teaches while a run waits, where PyTorch is installed.

That process (`teacher.py`) is a child of a worker that detects: it ends with it, and is gone when nothing is
to be taught.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask_detector.detectors.base import usable_cores
from flask_detector.jobs.lessons import TEACHER_DIED, Lessons
from flask_detector.jobs.queue import Jobs
from flask_detector.process.extras import missing_for_teaching
from flask_detector.process.logs import facts, short
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.left_behind import LeftBehind

log = logging.getLogger(__name__)

TEACHER: Final = "flask_detector.worker.teacher"

# Where the process fails by itself, another one is started after this.
_PAUSE_SECONDS = 30.0
_STOP_SECONDS = 10.0

# While pictures come, the process is paused so long at most before it may run for a moment: it has to tell in
# time that it lives. A detection was up to 15% slower where it ran on the other thread of the same core.
_MOST_PAUSED_SECONDS = 3.0
_BREATH_SECONDS = 0.3


class Teaching:
    """One worker's share of it.

    folder: tells this machine's data from that of others.
    """

    def __init__(self, jobs: Jobs, folder: str) -> None:
        self._jobs = jobs
        self._folder = folder
        self._lessons = Lessons(jobs.queue.connection)
        self._left = LeftBehind(
            Attempts(self._lessons.queue, worker="", location="", died=TEACHER_DIED),
            on_given_back=lambda id, _: self._log("run %s of teaching was left by a process that died", id),
        )
        self._can_teach = not missing_for_teaching()
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._paused_since = self._resumed_at = float("-inf")

    def run(self) -> None:
        """Give back what dead processes left, and start one that is wanted; raises BrokerUnavailable."""
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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the process within the block, unless it was paused for long before."""
        process, now = self._process, time.monotonic()
        if now - self._resumed_at >= _BREATH_SECONDS:
            self._paused_since = now
        left = _MOST_PAUSED_SECONDS - (now - self._paused_since)
        if process is None or left <= 0:
            yield
            return
        process.send_signal(signal.SIGSTOP)
        timer = threading.Timer(left, process.send_signal, [signal.SIGCONT])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            process.send_signal(signal.SIGCONT)
            self._resumed_at = time.monotonic()

    def _start(self) -> None:
        # Of a session of its own: Linux shares the processor out among sessions first.
        self._process = subprocess.Popen(
            [sys.executable, "-m", TEACHER, str(os.getpid()), self._folder],
            env={**os.environ, "OMP_NUM_THREADS": str(usable_cores())},
            start_new_session=True,
        )

    @staticmethod
    def _log(line: str, id: str) -> None:
        log.warning(line, short(id), extra=facts(run=short(id)))
