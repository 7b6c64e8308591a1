"""An installation whose parts a test starts, hurts and kills one by one, and what it counts."""

import http.client
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import redis
from rq.results import Result

from flask_detector.broker.connection import connect
from flask_detector.broker.local_server import LocalRedis
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import Record
from flask_detector.settings import Settings
from tests.support.pictures import picture
from tests.support.ports import free_port
from tests.support.waiting import wait_until, wait_until_answered

FAULTY_WORKER = Path(__file__).with_name("faulty_worker.py")
SENDERS = 8

# Keeps how many seconds it took until a fault was made up for.
Recovered = Callable[[str, float], None]


@dataclass(frozen=True)
class Answer:
    """What the web process answered."""

    status: int
    headers: dict[str, str]
    form: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: http.client.HTTPResponse) -> Self:
        """Read an answer to its end."""
        body = answer.read()
        is_json = answer.headers.get_content_type() == "application/json"
        return cls(answer.status, dict(answer.headers), json.loads(body) if is_json else {})


class Installation:
    """Redis, one web process and workers, each a process of its own, without a supervisor.

    within: what the commands of its processes begin with.
    redis_options: of its Redis's command line.
    pictures: where this process finds them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        within: Sequence[str] = (),
        redis_options: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.folder = folder
        self._within = within
        self._redis_options = redis_options
        self.port = free_port()
        self._redis = LocalRedis(folder / "redis")
        self.url = self._redis.url
        self.settings = Settings(
            data_dir=folder / "data", redis_url=self.url, offline=True, port=self.port, max_queue=1000
        )
        self.pictures = self.settings.data_dir / "pictures"
        self.environment = {
            **os.environ,
            "REDIS_URL": self.url,
            "PORT": str(self.port),
            "DETECTOR_DATA_DIR": str(self.settings.data_dir),
            "DETECTOR_OFFLINE": "1",
            "DETECTOR_THREADS": "1",
            **environment,
        }
        self._running: list[subprocess.Popen[bytes]] = []
        self.redis_process: subprocess.Popen[bytes] | None = None
        self.web_process: subprocess.Popen[bytes] | None = None
        self.connection: redis.Redis = connect(self.url)
        self.jobs = Jobs(self.connection, self.settings)

    def start_redis(self) -> None:
        self.redis_process = self._start([*self._redis.command(), *self._redis_options])
        self._redis.wait_until_ready(self.redis_process)

    def stop_redis(self) -> None:
        assert self.redis_process is not None
        self.redis_process.kill()
        self.redis_process.wait(20)

    def start_web(self, *, largest_file: int | None = None) -> None:
        """Start the web process; no file that it writes may be larger than that."""

        self.web_process = self._start([sys.executable, "-m", "flask_detector", "web"])
        wait_until_answered(f"http://127.0.0.1:{self.port}", self.web_process)
        if largest_file is not None:
            resource.prlimit(self.web_process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))

    def start_serve(self) -> "subprocess.Popen[bytes]":
        """Run web process and workers under a supervisor instead."""
        self.web_process = self._start([sys.executable, "-m", "flask_detector", "serve"])
        wait_until_answered(f"http://127.0.0.1:{self.port}", self.web_process)
        return self.web_process

    def start_worker(self, **environment: str) -> "subprocess.Popen[bytes]":
        return self._start([sys.executable, "-m", "flask_detector", "worker"], **environment)

    def start_faulty_worker(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        return self._start([sys.executable, str(FAULTY_WORKER), *arguments], **environment)

    def start_afresh(self) -> None:
        """Leave nothing running but Redis and the web process, and nothing in either."""
        lasting = [one for one in (self.redis_process, self.web_process) if one is not None]
        self._kill([one for one in self._running if one not in lasting])
        self._running = lasting
        for process in lasting:
            process.send_signal(signal.SIGCONT)
            assert process.poll() is None
        self.connection.flushall()
        # Not the folder itself: where a disk is mounted on it in another namespace, that would go, too.
        for folder in self.pictures.glob("??"):
            shutil.rmtree(folder)

    def close(self) -> None:
        self._kill(self._running)
        self.connection.close()
        self._redis.remove_socket_folder()

    def send(self, data: bytes, *, sender: str = "127.0.0.1") -> Answer:
        """Send one picture once, from that address."""
        return self.ask("POST", "/api/v1/detections", data, accept="application/json", sender=sender)

    def ask(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        *,
        accept: str = "*/*",
        kind: str = "application/octet-stream",
        sender: str = "127.0.0.1",
        version: str | None = None,
    ) -> Answer:
        """Do one request; raise OSError or http.client.HTTPException when there is no whole answer.

        kind: the media type of the data.
        sender: the address that it comes from.
        version: that a change is to replace.
        """
        conditions = {} if version is None else {"If-Match": version}
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=(sender, 0)
        )
        try:
            connection.request(method, path, data, {"Accept": accept, "Content-Type": kind, **conditions})
            return Answer.of(connection.getresponse())
        finally:
            connection.close()

    def send_until_accepted(self, data: bytes, refusals: "Counter[int] | None" = None) -> str:
        """Send a picture as a patient client does: again after each refusal, until it has its id."""
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            try:
                answer = self.send(data)
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
                continue
            if answer.status in {200, 202}:  # it may have ended by the time of the answer
                return str(answer.form["id"])
            assert answer.status in {429, 503}, answer
            assert int(answer.headers["Retry-After"]) > 0
            if refusals is not None:
                refusals[answer.status] += 1
            time.sleep(0.3)
        raise AssertionError("the picture was not accepted in time")

    def send_many(
        self, number: int, refusals: "Counter[int] | None" = None, *, comment: str = ""
    ) -> list[str]:
        """Send so many pictures, some at once; return their ids."""
        with ThreadPoolExecutor(SENDERS) as pool:
            data = picture(comment)
            return list(pool.map(lambda _: self.send_until_accepted(data, refusals), range(number)))

    def in_flight(self, number: int = 100) -> "Flight":
        """Begin to send so many pictures."""
        return Flight(self, number)

    def record(self, id: str) -> Record:
        return self.jobs.find(id)

    def wait_for(self, id: str, *, seconds: float = 60) -> Record:
        """Return a detection once it has ended."""
        wait_until(lambda: self.record(id).status.is_final, seconds)
        return self.record(id)

    def outcomes(self, ids: list[str], *, seconds: float = 150) -> "Counter[str]":
        """Return how many of the detections ended in which way; none is lost, and each has ended once."""
        assert len(set(ids)) == len(ids)
        wait_until(lambda: all(r.status.is_final for r in self.jobs.find_all(ids)), seconds)
        records = self.jobs.find_all(ids)
        assert [record.id for record in records] == ids
        ends = [self.connection.xlen(Result.get_key(id)) for id in ids]
        assert ends == [1] * len(ids)
        assert all(record.failure is not None for record in records if record.status == "failed")
        return Counter(record.status.value for record in records)

    def holder_of(self, id: str) -> int:
        """Return the process that has a detection in hand."""
        (execution,) = self.connection.scan_iter(f"rq:execution:{id}:*")
        name = self.connection.hget(execution, "worker_name")
        assert isinstance(name, bytes)
        process = self.connection.hget(f"rq:worker:{name.decode()}", "pid")
        assert process is not None
        return int(process)

    def wait_for_workers(self, number: int) -> None:
        """Return when so many are there: what is sent from now on is detected while it is being sent."""
        wait_until(lambda: len(self.jobs.workers()) == number, 60)

    def wait_until_running(self, id: str, seconds: float = 60) -> None:
        wait_until(lambda: self.record(id).status == "running", seconds)

    def _kill(self, processes: "Sequence[subprocess.Popen[bytes]]") -> None:
        for process in reversed(processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(20)

    def _start(self, command: list[str], **environment: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / "log.txt").open("ab")
        with log:
            process = subprocess.Popen(
                [*self._within, *command], env=self.environment | environment, stderr=log, stdout=log
            )
        self._running.append(process)
        return process


class Flight:
    """Pictures that are being sent while something else happens."""

    def __init__(self, installation: Installation, number: int) -> None:
        self._ids: list[str] = []
        self.refusals: Counter[int] = Counter()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(installation, number))
        self._thread.start()

    def wait_until_refused(self, number: int) -> None:
        """Return when so many uploads have met a 503; some are still on their way then."""
        wait_until(lambda: self.refusals[503] >= number or not self._thread.is_alive(), 60)
        assert self._thread.is_alive(), f"all were sent, and these refused: {self.refusals}"

    def land(self) -> list[str]:
        """Return the ids of all, once each has been accepted."""
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._errors:
            raise self._errors[0]
        return self._ids

    def _run(self, installation: Installation, number: int) -> None:
        try:
            self._ids = installation.send_many(number, self.refusals)
        except BaseException as error:
            self._errors.append(error)
