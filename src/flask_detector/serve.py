"""Runs Redis, workers and the web process together, restarts what dies, and stops cleanly."""

import ctypes
import fcntl
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from flask_detector.broker import LocalRedis, check, connect
from flask_detector.detectors import AUTO, MAIN_MODEL, model_store
from flask_detector.errors import SettingsError
from flask_detector.settings import Settings

log = logging.getLogger(__name__)

# A worker may finish the picture in hand before it is killed.
_GRACE_SECONDS = 25.0

# A process that dies at once again and again is started less and less often, up to this pause.
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 10.0

# What needs a network is not tried again at once.
_ERRAND_PAUSE = 600.0

_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process to keep running; an errand is only run until it succeeds."""

    name: str
    command: list[str]
    environment: dict[str, str]
    is_errand: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = 0.0

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the process in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # the supervisor has no other threads
        )
        return self.process

    def watch(self) -> None:
        """Start the process again when it has ended, after a pause that grows while it keeps ending."""
        now = time.monotonic()
        if self.process is not None and (status := self.process.poll()) is not None:
            self.process = None
            if self.is_errand:
                self.pause = _ERRAND_PAUSE
                if status == 0:
                    self.start_again_at = math.inf
                    return
            else:
                steady = now - self.started_at > _STEADY_SECONDS
                self.pause = 0.0 if steady else min(_LONGEST_PAUSE, 2 * self.pause + 0.5)
            self.start_again_at = now + self.pause
            log.error("%s ended with status %d and is started again in %.1f s", self.name, status, self.pause)
        if self.process is None and now >= self.start_again_at:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_or_kill(self, deadline: float) -> None:
        """Return when the process has ended; kill it when the deadline (monotonic seconds) passes."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s does not stop and is killed", self.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """The processes of one installation, in the order in which they start; they stop in the reverse one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = False
        self._local_redis = None if settings.redis_url else LocalRedis(settings.data_dir / "redis")

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with _only_one(self._settings):
            _check_port(self._settings)
            children: list[Child] = []
            try:
                self._start(children)
                answers = False
                while not self._stopping:
                    for child in children:
                        child.watch()
                    if not answers and (answers := _answers(self._settings)):
                        log.info("serving on http://%s:%d", self._settings.host, self._settings.port)
                    time.sleep(0.1)
            finally:
                _stop_all(children)
                if self._local_redis is not None:
                    self._local_redis.remove_socket_folder()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _start(self, children: list[Child]) -> None:
        url = self._settings.redis_url
        if self._local_redis is not None:
            url = self._local_redis.url
            broker = Child("redis", self._local_redis.command(), dict(os.environ))
            children.append(broker)
            self._local_redis.wait_until_ready(broker.start())
        elif url is not None:
            with connect(url) as connection:
                check(connection)
        environment = {**os.environ, **_as_variables(self._settings), "REDIS_URL": url or ""}
        this = [sys.executable, "-m", "flask_detector"]
        children += [
            Child(f"worker {i + 1}", [*this, "worker"], environment) for i in range(self._settings.workers)
        ]
        children.append(Child("web", [*this, "web"], environment))
        # What an update left to convert again needs no network.
        wanted = model_store(self._settings).unconverted()
        if not self._settings.offline and MAIN_MODEL not in wanted:
            wanted.append(MAIN_MODEL)
        if self._settings.model == AUTO and wanted:
            # The embedded model serves meanwhile; the workers take a better one when it is there.
            children.append(Child("fetch", [*this, "models", "pull", *wanted], environment, is_errand=True))
        for child in children:
            if child.process is None:
                child.start()


def _stop_all(children: list[Child]) -> None:
    """Stop the web process first, so that nothing new comes in, then the workers, then Redis."""
    deadline = time.monotonic() + _GRACE_SECONDS
    for names in ("web", "fetch", "worker", "redis"):
        group = [child for child in children if child.name.startswith(names)]
        for child in group:
            child.ask_to_stop()
        for child in group:
            child.wait_or_kill(deadline)


def _as_variables(settings: Settings) -> dict[str, str]:
    """Return what the command line set, as the variables that the child processes read."""
    return {
        "PORT": str(settings.port),
        "DETECTOR_HOST": settings.host,
        "DETECTOR_DATA_DIR": str(settings.data_dir.absolute()),
    }


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the data folder; a second installation on it would mix up Redis's files."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock: IO[str]
    with open(settings.data_dir / "serve.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"flask-detector already runs with the data folder {settings.data_dir}.",
                hint="Stop it first, or set DETECTOR_DATA_DIR and PORT for a second one.",
            ) from error
        yield


def _check_port(settings: Settings) -> None:
    """Raise SettingsError where another program has the port already."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"The address {settings.host}, port {settings.port} can't be used: {error.strerror}.",
            hint="Stop the program that uses it, or set PORT (or DETECTOR_HOST) to another one.",
        ) from error


def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # not bound here
    try:
        socket.create_connection((host, settings.port), timeout=1).close()
    except OSError:
        return False
    return True


def _die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
