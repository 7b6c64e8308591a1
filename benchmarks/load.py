"""Ten thousand uploads by 64 clients at once: none lost, none doubled, how fast, and what the service adds.

    python -m benchmarks.load PICTURE... [--number 10000] [--clients 64] [--idle 30]

Starts an installation of its own (embedded Redis, one worker, the embedded model). First its idle cost is
measured: CPU time and Redis commands. Then each client sends pictures one after another over one connection,
each of its own (a number in its comment), and after a refusal (429, 503) again when Retry-After says so. When
all are accepted and have ended, each is looked up: it must have ended once, as done. Before and after, a loop
in this process decodes and detects the same picture, with as many threads as the worker uses: the bare
detector. Memory is the proportional set size (PSS, Linux), looked at once a second.

The defaults take about ten minutes for each picture on two cores; `--number 500` gives an idea within one.
"""

import argparse
import collections
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import redis
from PIL import Image
from rq.results import Result

from benchmarks import results
from benchmarks.installation import installation
from flask_detector import load_detector
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.jobs.queue import Jobs
from flask_detector.settings import Settings

LIMITS = Limits(100_000_000, 100_000_000)


def main() -> None:
    """Run the measurement and print its tables."""
    parser = results.arguments(__doc__)
    parser.add_argument("picture", type=Path, nargs="+")
    parser.add_argument("--number", type=int, default=10_000, help="how many pictures are sent")
    parser.add_argument("--clients", type=int, default=64, help="how many clients send at once")
    parser.add_argument("--idle", type=float, default=30, help="seconds for which the idle cost is measured")
    options = parser.parse_args()
    figures: results.Figures = {}
    for path in options.picture:
        data = path.read_bytes()
        if not data.startswith(b"\xff\xd8"):
            raise SystemExit("A picture must be a JPEG: its comment is made different for each upload.")
        with Image.open(path) as image:
            name = f"{image.width}x{image.height}"
        print(f"\n{path}, {name}")
        figures[name] = measured(data, options)
    if options.record:
        results.record("load", "python -m benchmarks.load PICTURE ...", figures)


def measured(data: bytes, options: argparse.Namespace) -> dict[str, float]:
    """Measure with one picture, in an installation of its own; print and return the figures."""
    with tempfile.TemporaryDirectory() as folder, running_in(Path(folder)) as (process, port, settings):
        jobs = Jobs(redis.Redis(unix_socket_path=str(Path(folder) / "redis" / "redis.sock")), settings)
        figures = print_idle_cost(jobs, process, options.idle)
        before = bare(data, settings, 200)
        load = Load(port, data, options.number)
        spent = Spent(process)
        with Memory(process) as memory:
            seconds = load.run(options.clients, jobs)
        spent.stop()
        alone = time.process_time()
        after = bare(data, settings, 200)
        alone = (time.process_time() - alone) / 200
        figures |= print_outcome(load, jobs, seconds, statistics.mean([before, after]), options.clients)
        spent.print(options.number, alone)
        memory.print()
    return figures


@dataclass
class Load:
    """The pictures to send, and what became of them."""

    port: int
    data: bytes
    number: int
    ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: "collections.Counter[int]" = field(default_factory=collections.Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    next: int = 0

    def run(self, clients: int, jobs: Jobs) -> float:
        """Send all; return the seconds until the last one had ended."""
        start = time.perf_counter()
        threads = [threading.Thread(target=self._send) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended, deadline = 0, time.monotonic() + 600
        while ended < len(self.ids) and time.monotonic() < deadline:
            ended = jobs.queue.finished_job_registry.get_job_count(cleanup=False)
            ended += jobs.queue.failed_job_registry.get_job_count(cleanup=False)
            time.sleep(0.02)
        return time.perf_counter() - start

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            with self.lock:
                number, self.next = self.next, self.next + 1
            if number >= self.number:
                break
            # A JPEG comment (ITU-T T.81, B.2.4.5) right behind the start makes each picture its own.
            body = self.data[:2] + b"\xff\xfe\x00\x0a%08d" % number + self.data[2:]
            while not self._accepted(connection, body):
                pass
        connection.close()

    def _accepted(self, connection: http.client.HTTPConnection, body: bytes) -> bool:
        start = time.perf_counter()
        connection.request("POST", "/api/v1/detections", body, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - start
        if answer.status == 202:
            with self.lock:
                self.ids.append(json.loads(content)["id"])
                self.seconds.append(seconds)
            return True
        if answer.status not in {429, 503}:
            raise SystemExit(f"{answer.status} {content[:200]!r}")
        with self.lock:
            self.refusals[answer.status] += 1
        connection.close()  # the server would meanwhile; the next request opens it again
        time.sleep(float(answer.headers["Retry-After"]))
        return False


def print_outcome(load: Load, jobs: Jobs, seconds: float, bare_rate: float, clients: int) -> dict[str, float]:
    """Print and return what became of the uploads, and how fast; complain where one is lost or doubled."""
    records = jobs.find_all(load.ids)
    results = [jobs.queue.connection.xlen(Result.get_key(id)) for id in load.ids]
    statuses = collections.Counter(record.status.value for record in records)
    doubled = sum(number > 1 for number in results) + len(load.ids) - len(set(load.ids))
    lost = load.number - len(records)
    p50, p99 = (1000 * float(second) for second in np.percentile(load.seconds, [50, 99]))
    rate = load.number / seconds
    print(f"\n{load.number} uploads by {clients} clients in {seconds:.1f} s")
    print(f"  ended: {dict(statuses)}; lost: {lost}; doubled: {doubled}; refused: {dict(load.refusals)}")
    print(f"  answer to an accepted upload: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    ratio = rate / bare_rate
    print(f"  throughput: {rate:.1f} pictures a second; bare detector: {bare_rate:.1f}; ratio {ratio:.2f}")
    if lost or doubled or statuses["done"] != load.number:
        raise SystemExit("A picture was lost, doubled or failed.")
    return {"number": load.number, "rate": rate, "ratio": ratio, "accepted_p50": p50, "accepted_p99": p99}


def bare(data: bytes, settings: Settings, number: int) -> float:
    """Return how many pictures a second a loop without any service decodes and detects."""
    detector = load_detector("nanodet-g", settings=settings)
    detector.detect(decode.decode(data, LIMITS)[0], min_score=0.05)
    start = time.perf_counter()
    for _ in range(number):
        detector.detect(decode.decode(data, LIMITS)[0], min_score=0.05)
    return number / (time.perf_counter() - start)


def print_idle_cost(jobs: Jobs, process: psutil.Process, seconds: float) -> dict[str, float]:
    """Print and return what the installation takes while nothing happens."""
    time.sleep(3)  # what a start brings with it is over
    members = [process, *process.children(recursive=True)]
    before = [sum(member.cpu_times()[:2]) for member in members]
    commands = jobs.queue.connection.info("stats")["total_commands_processed"]
    time.sleep(seconds)
    commands = jobs.queue.connection.info("stats")["total_commands_processed"] - commands - 1
    print(f"idle for {seconds:g} s: {commands / seconds:.1f} Redis commands a second")
    percent = 0.0
    for member, cpu in zip(members, before, strict=True):
        used = 100 * (sum(member.cpu_times()[:2]) - cpu) / seconds
        percent += used
        print(f"  {name_of(member):16}{used:6.2f} % of a CPU")
    return {"idle_commands": commands / seconds, "idle_cpu_percent": percent}


class Spent:
    """The CPU time that an installation's processes, and the clients in this one, take until `stop`."""

    def __init__(self, process: psutil.Process) -> None:
        self._members = [process, *process.children(recursive=True), psutil.Process()]
        self._seconds = [-_cpu_seconds(member) for member in self._members]

    def stop(self) -> None:
        """Count no further."""
        self._seconds = [s + _cpu_seconds(m) for s, m in zip(self._seconds, self._members, strict=True)]

    def print(self, number: int, alone: float) -> None:
        """Print what a picture took; alone: seconds of the bare detector."""
        parts = [
            f"{'clients' if member.pid == os.getpid() else name_of(member)} {1000 * seconds / number:.1f}"
            for member, seconds in zip(self._members, self._seconds, strict=True)
        ]
        print(f"  CPU, ms a picture: {', '.join(parts)}; bare detector: {1000 * alone:.1f}")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Memory:
    """Looks at the memory of an installation's processes once a second while the block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._members = [process, *process.children(recursive=True)]
        self._seen: dict[str, list[float]] = {name_of(member): [] for member in self._members}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1):
            for member in self._members:
                self._seen[name_of(member)].append(member.memory_full_info().pss / 1e6)

    def print(self) -> None:
        """Print each process's memory: the peaks of the run's quarters show whether it grows."""
        print(f"\n{'memory, MB':16}{'peak':>7}   peaks of the quarters of the run")
        for name, seen in self._seen.items():
            if len(seen) >= 4:
                step = len(seen) / 4
                quarters = [max(seen[int(i * step) : int((i + 1) * step)]) for i in range(4)]
                print(f"  {name:14}{max(seen):7.0f}   {'  '.join(f'{peak:.0f}' for peak in quarters)}")


def name_of(process: psutil.Process) -> str:
    """Return what a process of the installation is."""
    words = process.cmdline()
    return "redis" if "redis" in process.name() else words[-1] if words[-1].isalpha() else "supervisor"


@contextmanager
def running_in(folder: Path) -> Iterator[tuple[psutil.Process, int, Settings]]:
    """Run an installation, whose log lies beside its data; yield its process, its port and its settings."""
    with (folder / "log").open("wb") as log, installation(folder, log) as (process, port):
        yield psutil.Process(process), port, Settings(data_dir=folder, offline=True)


if __name__ == "__main__":
    main()
