"""Keeps the processes of an installation running: starts, restarts and stops them.

A separate, long-lived process that imports only the standard library to use little memory. launch.py prepares
everything, then replaces itself by this.
"""

import contextlib
import errno
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
from flask_detector.errors import BrokerUnavailable, SettingsError
from flask_detector.process import logs
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.service.child import Child

log = logging.getLogger(__name__)

# A worker may finish its current picture before it is killed.
GRACE_SECONDS = 25.0

# In a rolling restart, the next worker is restarted after this even if this one is not ready.
_READY_SECONDS = 120.0

_BOLD, _PLAIN = "\033[1m", "\033[0m"

# After so many failed starts in a row of every worker, an error is logged.
_TRIES = 2

# The start-up message waits for a worker to be ready, but no longer than this.
_SETTLED_SECONDS = 30.0

# The number of the listening socket that the web process inherits.
SOCKET_VARIABLE = "FLASK_DETECTOR_SOCKET"
_WAITING_CONNECTIONS = 2048


@dataclass(frozen=True)
class Task:
    """One process to keep running, or (runs_once) to run until it succeeds."""

    name: str
    command: list[str]
    runs_once: bool = False


@dataclass(frozen=True)
class Plan:
    """What to run.

    host, port: where the web process listens; port 0 without one.
    redis_folder: data folder of the Redis to start first; None if there is one already.
    sync_redis: whether that Redis syncs each change to disk before it replies.
    tasks: in the order of their start.
    environment: of the processes.
    about: a sentence for the start-up message.
    """

    host: str
    port: int
    redis_folder: str | None
    sync_redis: bool
    tasks: list[Task]
    environment: dict[str, str]
    about: str = ""

    def become(self, *files: int) -> NoReturn:
        """Replace this process by the supervisor of this plan; these files stay open."""
        # Not as arguments, which every user of the machine can read: URLs contain passwords.
        reading, writing = os.pipe()
        for file in (reading, *files):
            os.set_inheritable(file, True)
        with os.fdopen(writing, "w") as pipe:
            json.dump(asdict(self), pipe)
        os.execv(sys.executable, [sys.executable, "-m", "flask_detector.service.supervisor", str(reading)])  # noqa: S606  # ourselves

    @classmethod
    def read(cls, file: int) -> Self:
        """Return the plan that `become` wrote into a file."""
        with os.fdopen(file) as pipe:
            form = json.load(pipe)
        return cls(**form | {"tasks": [Task(**task) for task in form["tasks"]]})


def reachable(host: str) -> str:
    """Return the host to connect to from this machine where a server listens on that one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # not bound here


def url_of(host: str, port: int) -> str:
    """Return the URL of a web server."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Supervisor:
    """Runs the processes of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = False
        self._rolling_restart: Iterator[None] = iter(())
        self._children: list[Child] = []
        self._is_worker_missing = False
        # Connections that arrive while the web process restarts wait for the new one.
        self._socket = listening(plan.host, plan.port) if plan.port else None
        self._local_redis = None
        if plan.redis_folder is not None:
            self._local_redis = LocalRedis(Path(plan.redis_folder), sync=plan.sync_redis)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP restarts workers and web process, one after another.

        Raises BrokerUnavailable when Redis does not start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._restart_all)
        children = self._children
        try:
            self._start(children)
            started_at = time.monotonic()
            announced = self._plan.port == 0
            while not self._stopping:
                for child in children:
                    child.watch()
                next(self._rolling_restart, None)
                settled = self._check_workers() or time.monotonic() > started_at + _SETTLED_SECONDS
                if not announced and settled and _answers(self._plan):
                    announced = True
                    _print_url(self._plan)
                    give_back_unused()
                    give_back_code()
                time.sleep(0.1)
            logs.announce("stopping", on_terminal="Stopping; running detections are finished first.")
        finally:
            if self._socket is not None:
                self._socket.close()
            _stop_all(children)
            if self._local_redis is not None:
                self._local_redis.remove_socket_folder()
        logs.announce("stopped", on_terminal="Stopped.")

    def _check_workers(self) -> bool:
        """Log when no worker starts, and when one does after all; return whether either is known."""
        workers = [child for child in self._children if child.name.startswith("worker")]
        is_one_ready = any(worker.is_ready() for worker in workers)
        is_missing = not is_one_ready and all(worker.failures >= _TRIES for worker in workers)
        if is_missing and not self._is_worker_missing:
            log.error(
                "NO WORKER STARTS: pictures are queued, but not processed. See the lines above for the "
                "cause, and run 'flask-detector doctor' for help. Retrying."
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
            child = Child(task.name, task.command, environment, runs_once=task.runs_once)
            if task.name == "web" and self._socket is not None:
                child.socket = self._socket
                child.environment = environment | {SOCKET_VARIABLE: str(self._socket.fileno())}
            children.append(child)
            child.start()


def _print_url(plan: Plan) -> None:
    logs.announce(
        f"serving on {url_of(plan.host, plan.port)}. {plan.about}",
        on_terminal=f"{plan.about}\n\n    {_BOLD}{url_of(reachable(plan.host), plan.port)}{_PLAIN}\n\n"
        "Press Ctrl-C to stop.",
    )


def _start_redis(local_redis: LocalRedis, broker: Child) -> None:
    try:
        local_redis.wait_until_ready(broker.start())
    except BrokerUnavailable:
        if not local_redis.mend():
            raise
        local_redis.wait_until_ready(broker.start())


def _one_after_another(children: list[Child]) -> Iterator[None]:
    """Restart each process once the previous one is ready; to be advanced while `watch` is called."""
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
    """Stop the web process first, so that nothing new arrives, then the workers, then Redis."""
    deadline = time.monotonic() + GRACE_SECONDS
    for names in ("web", "fetch", "worker", "redis"):
        group = [child for child in children if child.name.startswith(names)]
        for child in group:
            child.ask_to_stop()
        for child in group:
            child.wait_or_kill(deadline)


def _answers(plan: Plan) -> bool:
    try:
        with socket.create_connection((reachable(plan.host), plan.port), timeout=0.5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Return the listening socket that the web process, and its successors, inherit.

    Raises SettingsError, for example because the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_WAITING_CONNECTIONS)
            stack.pop_all()
            return listener
    except OSError as error:
        raise SettingsError(
            f"Can't listen on {host}, port {port}: {error.strerror}.",
            hint="Stop the program that uses the port, or set PORT to another one."
            if error.errno == errno.EADDRINUSE
            else "Set DETECTOR_HOST to an IP address of this machine, and PORT to a permitted port.",
        ) from error


def main() -> None:
    """Run the plan in the file whose number is the first argument."""
    logs.set_up(os.environ.get("DETECTOR_LOG_FORMAT") or "auto", "serve")
    try:
        Supervisor(Plan.read(int(sys.argv[1]))).run()
    except (BrokerUnavailable, SettingsError) as error:
        if logs.is_json():
            log.critical("%s", error.message, extra=logs.facts(code=error.code, hint=error.hint))
        else:
            print(f"Error: {error.message}\n{error.hint}", file=sys.stderr)  # noqa: T201  # to a person
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
