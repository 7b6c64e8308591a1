"""Keeps the processes of an installation running: starts them, starts again what dies, stops them cleanly.

It is a process of its own that lives as long as the service does, so it has only what it needs in memory: the
standard library. launch.py sets everything up, then becomes this.
"""

import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, Self

from flask_detector.broker.local_server import UMASK, LocalRedis
from flask_detector.errors import BrokerUnavailable
from flask_detector.process import logs
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.service.child import Child

log = logging.getLogger(__name__)

# A worker may finish the picture in hand before it is killed.
GRACE_SECONDS = 25.0

# In a rolling restart a worker has so long to get ready before the next one is started anew all the same.
_READY_SECONDS = 120.0

_BOLD, _PLAIN = "\033[1m", "\033[0m"

# So often in succession a worker ends before it is ready until that is said aloud.
_TRIES = 2

# That it serves is said when a worker is ready, too, but not later than this.
_SETTLED_SECONDS = 30.0

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
    sync_redis: whether that one has each change on the disk before it answers.
    tasks: in the order in which they start.
    environment: of their processes.
    about: a sentence on what is installed.
    """

    host: str
    port: int
    redis_folder: str | None
    sync_redis: bool
    tasks: list[Task]
    environment: dict[str, str]
    about: str = ""

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the pages."""
        return self._url_of(self.reachable_host)

    @property
    def listened_on(self) -> str:
        """Where it listens, as an address."""
        return self._url_of(self.host)

    @property
    def reachable_host(self) -> str:
        """The address to connect to from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # not bound here

    def _url_of(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

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


class Supervisor:
    """Carries a plan out."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = False
        self._rolling_restart: Iterator[None] = iter(())
        self._children: list[Child] = []
        self._is_worker_missing = False
        # Who connects while the web process is started anew waits for the new one.
        self._socket = _listening(plan) if plan.port else None
        self._local_redis = None
        if plan.redis_folder is not None:
            self._local_redis = LocalRedis(Path(plan.redis_folder), sync=plan.sync_redis)

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
            started_at = time.monotonic()
            greeted = self._plan.port == 0
            while not self._stopping:
                for child in children:
                    child.watch()
                next(self._rolling_restart, None)
                settled = self._look_at_workers() or time.monotonic() > started_at + _SETTLED_SECONDS
                if not greeted and settled and _answers(self._plan):
                    greeted = True
                    _greet(self._plan)
                    give_back_unused()
                    give_back_code()
                time.sleep(0.1)
            logs.say("stopping", to_people="Stopping; running detections are finished first.")
        finally:
            if self._socket is not None:
                self._socket.close()
            _stop_all(children)
            if self._local_redis is not None:
                self._local_redis.remove_socket_folder()
        logs.say("stopped", to_people="Stopped.")

    def _look_at_workers(self) -> bool:
        """Say aloud when no worker comes up, and when one does after all; tell whether either is known."""
        workers = [child for child in self._children if child.name.startswith("worker")]
        is_one_ready = any(worker.is_ready() for worker in workers)
        is_missing = not is_one_ready and all(worker.failures >= _TRIES for worker in workers)
        if is_missing and not self._is_worker_missing:
            log.error(
                "NO WORKER COMES UP: pictures are taken in and wait, and nothing is detected. The lines "
                "before say why, and 'flask-detector doctor' what to do. It is tried again and again."
            )
        if is_one_ready and self._is_worker_missing:
            log.warning("a worker has started: pictures are processed again")
        self._is_worker_missing = is_missing or (self._is_worker_missing and not is_one_ready)
        return is_one_ready or is_missing

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


def _greet(plan: Plan) -> None:
    logs.say(
        f"serving on {plan.listened_on}. {plan.about}",
        to_people=f"{plan.about}\n\n    {_BOLD}{plan.url}{_PLAIN}\n\nPress Ctrl-C to stop.",
    )


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
                log.warning("%s does not stop; killing it", child.name)
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
    try:
        with socket.create_connection((plan.reachable_host, plan.port), timeout=0.5) as connection:
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


def main() -> None:
    """Carry out the plan that the file of that number holds."""
    logs.set_up(os.environ.get("DETECTOR_LOG_FORMAT") or "auto", "serve")
    try:
        Supervisor(Plan.read(int(sys.argv[1]))).run()
    except BrokerUnavailable as error:
        if logs.is_json():
            log.critical("%s", error.message, extra=logs.facts(code=error.code, hint=error.hint))
        else:
            print(f"Error: {error.message}\n{error.hint}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
