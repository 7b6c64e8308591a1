"""A child process: started, restarted when it exits, stopped.

Standard library only, to keep the supervisor small.
"""

import logging
import math
import os
import socket
import subprocess
import time
from dataclasses import dataclass

from flask_detector.process import readiness
from flask_detector.process.parent import die_with_parent

log = logging.getLogger(__name__)

# Back-off for a process that keeps dying.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 10.0

# Back-off for a task that needs the network.
_FIRST_ONE_TIME_PAUSE = 600.0
_LONGEST_ONE_TIME_PAUSE = 4 * 3600.0

# Tells a one-time task after how many seconds it will be retried, and the exit status by which it says
# that it has logged its failure.
NEXT_ATTEMPT_VARIABLE = "FLASK_DETECTOR_NEXT_ATTEMPT"
FAILED_AND_REPORTED = os.EX_TEMPFAIL


@dataclass
class Child:
    """One process to keep running.

    runs_once: whether it only runs until it succeeds.
    pause: seconds between its last exit and the next start.
    failures: how often in a row it has exited before it was ready.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    runs_once: bool = False
    umask: int = -1
    socket: "socket.socket | None" = None
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = 0.0
    failures: int = 0
    _ready_pipe: int | None = None
    _is_ready: bool = False
    _is_asked_to_stop: bool = False

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the process in its own session, so that Ctrl-C only reaches the supervisor."""
        self.started_at = time.monotonic()
        self._is_asked_to_stop = False
        if self._ready_pipe is not None:
            os.close(self._ready_pipe)
        self._ready_pipe, writing = os.pipe()
        os.set_blocking(self._ready_pipe, False)
        self._is_ready = False
        environment = {**self.environment, readiness.VARIABLE: str(writing)}
        if self.runs_once:
            environment[NEXT_ATTEMPT_VARIABLE] = str(self._one_time_pause())
        self.process = subprocess.Popen(
            self.command,
            env=environment,
            start_new_session=True,
            umask=self.umask,
            pass_fds=[writing, *([] if self.socket is None else [self.socket.fileno()])],
            preexec_fn=die_with_parent,  # noqa: PLW1509  # the supervisor has no other threads
        )
        os.close(writing)
        return self.process

    def is_ready(self) -> bool:
        """Return whether the process has reported that it is ready."""
        if not self._is_ready and self._ready_pipe is not None:
            self._is_ready = readiness.is_reported(self._ready_pipe)
        if self._is_ready:
            self.failures = 0
        return self._is_ready

    def watch(self) -> None:
        """Restart the process if it has exited, with exponential back-off."""
        now = time.monotonic()
        if self.process is not None and (status := self.process.poll()) is not None:
            self.process = None
            if self.runs_once and status == 0:
                self.start_again_at = math.inf
                return
            if not self.is_ready() and not self._is_asked_to_stop:
                self.failures += 1
            self.pause = self._next_pause(status, now - self.started_at)
            self.start_again_at = now + self.pause
            if not (self.runs_once and status == FAILED_AND_REPORTED):
                log.log(
                    logging.INFO if self._is_asked_to_stop or status == 0 else logging.ERROR,
                    "%s exited with status %d and restarts in %.1f s",
                    self.name,
                    status,
                    self.pause,
                )
        if self.process is None and now >= self.start_again_at:
            self.start()

    def _next_pause(self, status: int, lived: float) -> float:
        if self.runs_once:
            return self._one_time_pause()
        if self._is_asked_to_stop or lived > _STEADY_SECONDS:
            return 0.0
        if status == 0 and self.is_ready():
            return _FIRST_PAUSE  # a worker that exceeded its memory
        return min(_LONGEST_PAUSE, 2 * self.pause + _FIRST_PAUSE)

    def _one_time_pause(self) -> float:
        return min(_LONGEST_ONE_TIME_PAUSE, 2 * self.pause or _FIRST_ONE_TIME_PAUSE)

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a process that has not set its handlers yet exits with -15, which is fine."""
        if self.process is not None and self.process.poll() is None:
            self._is_asked_to_stop = True
            self.process.terminate()

    def wait_or_kill(self, deadline: float) -> None:
        """Wait for the process to exit; kill it at the deadline (monotonic seconds)."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s does not stop; killing it", self.name)
            self.process.kill()
            self.process.wait()
