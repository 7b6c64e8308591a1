"""Keeps the processes of an installation running: starts them, starts again what dies, stops them cleanly.

It is a process of its own that lives as long as the service does, so it has only what it needs in memory: the
standard library. serve.py sets everything up, then becomes this.
"""

import ctypes
import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, Self

from flask_detector.broker.local_server import UMASK, LocalRedis
from flask_detector.errors import BrokerUnavailable
from flask_detector.process import logs, readiness
from flask_detector.process.memory import give_back_code, give_back_unused

log = logging.getLogger(__name__)

# A worker may finish the picture in hand before it is killed.
GRACE_SECONDS = 25.0

# A process that dies at once again and again is started less and less often, up to this pause.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 10.0

# In a rolling restart a worker has so long to get ready before the next one is started anew all the same.
_READY_SECONDS = 120.0

# What needs a network is not tried again at once.
_ERRAND_PAUSE = 600.0

_PR_SET_PDEATHSIG = 1

# Tells the web process the number of the socket that it is to take connections from.
SOCKET_VARIABLE = "FLASK_DETECTOR_SOCKET"
_WAITING_CONNECTIONS = 2048


@dataclass(frozen=True)
class Task:
    """One process to keep running; an errand is only run until it succeeds."""

    name: str
    command: list[str]
    is_errand: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    host, port: where the web process will listen; the port is 0 where there is none.
    redis_folder: of the Redis that is to be started first; None where there is one already.
    tasks: in the order in which they start.
    environment: of their processes.
    """

    host: str
    port: int
    redis_folder: str | None
    tasks: list[Task]
    environment: dict[str, str]

    def become(self, *files: int) -> NoReturn:
        """Replace this process by the one that carries the plan out; it keeps these files open."""
        # Not through its command line, which everybody on the machine can read: addresses hold passwords.
        reading, writing = os.pipe()
        for file in (reading, *files):
            os.set_inheritable(file, True)
        with os.fdopen(writing, "w") as pipe:
            json.dump(asdict(self), pipe)
        os.execv(sys.executable, [sys.executable, "-m", "flask_detector.service.supervisor", str(reading)])  # noqa: S606

    @classmethod
    def read(cls, file: int) -> Self:
        """Return the plan that `become` wrote into a file."""
        with os.fdopen(file) as pipe:
            form = json.load(pipe)
        return cls(**form | {"tasks": [Task(**task) for task in form["tasks"]]})


@dataclass
class Child:
    """One process to keep running; an errand is only run until it succeeds."""

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
        self.process = subprocess.Popen(
            self.command,
            env={**self.environment, readiness.VARIABLE: str(writing)},
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
        return self._is_ready

    def watch(self) -> None:
        """Start the process again when it has ended, after a pause that grows while it keeps dying."""
        now = time.monotonic()
        if self.process is not None and (status := self.process.poll()) is not None:
            self.process = None
            if self.is_errand and status == 0:
                self.start_again_at = math.inf
                return
            self.pause = self._next_pause(status, now - self.started_at)
            self.start_again_at = now + self.pause
            log.log(
                logging.INFO if self._is_asked_to_stop or status == 0 else logging.ERROR,
                "%s ended with status %d and is started again in %.1f s",
                self.name,
                status,
                self.pause,
            )
        if self.process is None and now >= self.start_again_at:
            self.start()

    def _next_pause(self, status: int, lived: float) -> float:
        if self.is_errand:
            return _ERRAND_PAUSE
        if self._is_asked_to_stop or lived > _STEADY_SECONDS:
            return 0.0
        if status == 0 and self.is_ready():
            return _FIRST_PAUSE  # a worker that has grown
        return min(_LONGEST_PAUSE, 2 * self.pause + _FIRST_PAUSE)

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
            log.warning("%s does not stop and is killed", self.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Carries a plan out."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = False
        self._rolling_restart: Iterator[None] = iter(())
        self._children: list[Child] = []
        # Who connects while the web process is started anew waits for the new one.
        self._socket = _listening(plan) if plan.port else None
        self._local_redis = LocalRedis(Path(plan.redis_folder)) if plan.redis_folder is not None else None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP starts workers and web anew, one after another.

        Raises BrokerUnavailable when Redis does not start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._restart_all)
        children = self._children
        try:
            self._start(children)
            answers = self._plan.port == 0
            while not self._stopping:
                for child in children:
                    child.watch()
                next(self._rolling_restart, None)
                if not answers and (answers := _answers(self._plan)):
                    log.info("serving on http://%s:%d", self._plan.host, self._plan.port)
                    give_back_unused()
                    give_back_code()
                time.sleep(0.1)
        finally:
            if self._socket is not None:
                self._socket.close()
            _stop_all(children)
            if self._local_redis is not None:
                self._local_redis.remove_socket_folder()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _restart_all(self, number: int, frame: object) -> None:
        ours = [child for child in self._children if child.name.startswith(("worker", "web"))]
        self._rolling_restart = _one_after_another(ours)

    def _start(self, children: list[Child]) -> None:
        environment = self._plan.environment
        if self._local_redis is not None:
            broker = Child("redis", self._local_redis.command(), environment, umask=UMASK)
            children.append(broker)
            _start_redis(self._local_redis, broker)
            environment = environment | {"REDIS_URL": self._local_redis.url}
        for task in self._plan.tasks:
            child = Child(task.name, task.command, environment, is_errand=task.is_errand)
            if task.name == "web" and self._socket is not None:
                child.socket = self._socket
                child.environment = environment | {SOCKET_VARIABLE: str(self._socket.fileno())}
            children.append(child)
            child.start()


def _start_redis(local_redis: LocalRedis, broker: Child) -> None:
    try:
        local_redis.wait_until_ready(broker.start())
    except BrokerUnavailable:
        if not local_redis.mend():
            raise
        local_redis.wait_until_ready(broker.start())


def _one_after_another(children: list[Child]) -> Iterator[None]:
    """Start each process anew once the one before is ready; to be advanced while `watch` is called."""
    for child in children:
        old = child.process
        child.ask_to_stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while child.process is old or child.process is None:
            if old is not None and time.monotonic() > deadline:
                log.warning("%s does not stop and is killed", child.name)
                old.kill()
            yield
        deadline = time.monotonic() + _READY_SECONDS
        while not child.is_ready() and time.monotonic() < deadline:
            yield


def _stop_all(children: list[Child]) -> None:
    """Stop the web process first, so that nothing new comes in, then the workers, then Redis."""
    deadline = time.monotonic() + GRACE_SECONDS
    for names in ("web", "fetch", "worker", "redis"):
        group = [child for child in children if child.name.startswith(names)]
        for child in group:
            child.ask_to_stop()
        for child in group:
            child.wait_or_kill(deadline)


def _answers(plan: Plan) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(plan.host, plan.host)  # noqa: S104  # not bound here
    try:
        with socket.create_connection((host, plan.port), timeout=0.5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _listening(plan: Plan) -> socket.socket:
    """Return the socket that the web process, and the one after it, takes connections from."""
    found = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(_WAITING_CONNECTIONS)
    return listener


def _die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Carry out the plan that the file of that number holds."""
    logs.set_up(os.environ.get("DETECTOR_LOG_FORMAT") or "auto", "serve")
    try:
        Supervisor(Plan.read(int(sys.argv[1]))).run()
    except BrokerUnavailable as error:
        print(f"Error: {error.message}\n{error.hint}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
