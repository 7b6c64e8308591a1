"""One process of an installation: started, started again when it ends, stopped.

Standard library only: the supervisor needs this for as long as it lives.
"""

import ctypes
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from flask_detector.process import readiness

log = logging.getLogger(__name__)

# A process that dies at once again and again is started less and less often, up to this pause.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 10.0

# What needs a network is not tried again at once, and less and less often while there is none.
_FIRST_ERRAND_PAUSE = 600.0
_LONGEST_ERRAND_PAUSE = 4 * 3600.0

# Tells an errand in how many seconds it will be tried again if it fails now, and how it says that it has told
# why it failed: nothing is to be added.
NEXT_TRY_VARIABLE = "FLASK_DETECTOR_NEXT_TRY"
FAILED_AND_TOLD = os.EX_TEMPFAIL

_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process to keep running; an errand is only run until it succeeds.

    pause: seconds between its last end and the next start.
    failures: how often in succession it has ended without having been ready.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    is_errand: bool = False
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
        """Start the process in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self.started_at = time.monotonic()
        self._is_asked_to_stop = False
        if self._ready_pipe is not None:
            os.close(self._ready_pipe)
        self._ready_pipe, writing = os.pipe()
        os.set_blocking(self._ready_pipe, False)
        self._is_ready = False
        environment = {**self.environment, readiness.VARIABLE: str(writing)}
        if self.is_errand:
            environment[NEXT_TRY_VARIABLE] = str(self._errand_pause())
        self.process = subprocess.Popen(
            self.command,
            env=environment,
            start_new_session=True,
            umask=self.umask,
            pass_fds=[writing, *([] if self.socket is None else [self.socket.fileno()])],
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # the supervisor has no other threads
        )
        os.close(writing)
        return self.process

    def is_ready(self) -> bool:
        """Tell whether the process has said that it is ready for work."""
        if not self._is_ready and self._ready_pipe is not None:
            self._is_ready = readiness.is_told(self._ready_pipe)
        if self._is_ready:
            self.failures = 0
        return self._is_ready

    def watch(self) -> None:
        """Start the process again when it has ended, after a pause that grows while it keeps dying."""
        now = time.monotonic()
        if self.process is not None and (status := self.process.poll()) is not None:
            self.process = None
            if self.is_errand and status == 0:
                self.start_again_at = math.inf
                return
            if not self.is_ready() and not self._is_asked_to_stop:
                self.failures += 1
            self.pause = self._next_pause(status, now - self.started_at)
            self.start_again_at = now + self.pause
            if not (self.is_errand and status == FAILED_AND_TOLD):
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
        if self.is_errand:
            return self._errand_pause()
        if self._is_asked_to_stop or lived > _STEADY_SECONDS:
            return 0.0
        if status == 0 and self.is_ready():
            return _FIRST_PAUSE  # a worker that has grown
        return min(_LONGEST_PAUSE, 2 * self.pause + _FIRST_PAUSE)

    def _errand_pause(self) -> float:
        return min(_LONGEST_ERRAND_PAUSE, 2 * self.pause or _FIRST_ERRAND_PAUSE)

    def ask_to_stop(self) -> None:
        """Send SIGTERM; before it has set its handlers, a process ends with -15, which is as good."""
        if self.process is not None and self.process.poll() is None:
            self._is_asked_to_stop = True
            self.process.terminate()

    def wait_or_kill(self, deadline: float) -> None:
        """Return when the process has ended; kill it when the deadline (monotonic seconds) passes."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s does not stop; killing it", self.name)
            self.process.kill()
            self.process.wait()


def _die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
