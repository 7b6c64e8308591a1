"""What the service adds to the model's own time, with several clients at once.

Starts an installation of its own (embedded Redis, the embedded model) and, if it is installed, LitServe with
the same detector; then, in turns, so that a disturbance meets all of them:

- api: POST /api/v1/detections with Prefer: wait, the picture as bare bytes, the result in the answer;
- deepstack: POST /v1/vision/detection, a form, as the clients of DeepStack send it;
- litserve: the same form, the result in the answer;
- bare: the detector in this process, from the same bytes, as many pictures at once as there are workers.

Each client sends one picture after another. Printed for each way: the whole time, the service's own share,
and the processor time of all processes of the server for a picture, which other programs change least. The
share of the API is the whole time less the stages that its result reports, from decoding on, and
once more less the time that the picture waited for a worker that was at work on another one, which no service
with as many workers can spare. LitServe and DeepStack report no stages: their share is the whole time less
the bare detector's median at the same number of clients.

    make .venv/.benchmark
    .venv/benchmark/bin/python -m benchmarks.service PICTURE [--clients 4] [--workers 2] [--number 200]
"""

import http.client
import importlib.util
import json
import math
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil

from benchmarks import results
from benchmarks.installation import fetch, installation, running
from flask_detector import load_detector
from flask_detector.settings import Settings
from tests.support.ports import free_port
from tests.support.waiting import wait_until_answered

_BOUNDARY = "a-boundary-of-no-picture"


@dataclass(frozen=True)
class Time:
    """Milliseconds of one picture: all of them, the model's own, and those of waiting for a worker."""

    whole: float
    model: float = 0.0
    queued: float = 0.0


Once = Callable[[bytes], Time]


@dataclass(frozen=True)
class Way:
    """How pictures are sent: what makes a client of it, and the process whose descendants serve it."""

    client: Callable[[], Once]
    pid: int


def main() -> None:
    """Run the measurements and print their table."""
    parser = results.arguments(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--number", type=int, default=200, help="how many pictures are measured each way")
    parser.add_argument("--rounds", type=int, default=5, help="how many turns that is")
    options = parser.parse_args()
    data: bytes = options.picture.read_bytes()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ways = open_ways(stack, Path(folder), options.workers)
        times: dict[str, list[Time]] = {name: [] for name in ways}
        spent = dict.fromkeys(ways, 0.0)
        each = max(1, options.number // options.rounds // options.clients)
        for _ in range(options.rounds):
            for name, way in ways.items():
                before = cpu_of(way.pid)
                times[name] += run_clients(way.client, data, options.clients, each)
                spent[name] += cpu_of(way.pid) - before
    print(f"{options.picture.name}, {options.clients} clients, {options.workers} workers, milliseconds\n")
    figures = figures_of(times)
    sent = options.rounds * options.clients * (each + 1)  # with those that open the connections
    for name in ways:
        figures[name]["cpu"] = 1e3 * spent[name] / sent
    print_table(figures)
    if options.record:
        results.record("service", "python -m benchmarks.service PICTURE", figures)


def open_ways(stack: ExitStack, folder: Path, workers: int) -> dict[str, Way]:
    """Start what is to be measured; return the ways to send pictures to it."""
    pid, port = stack.enter_context(
        installation(folder, DETECTOR_WORKERS=str(workers), DETECTOR_RATE_LIMIT="off")
    )
    ways = {
        "api": Way(lambda: api(port), pid),
        "deepstack": Way(lambda: form(port, "/v1/vision/detection"), pid),
    }
    if importlib.util.find_spec("litserve"):
        other_pid, other = stack.enter_context(litserve(workers))
        ways["litserve"] = Way(lambda: form(other, "/predict"), other_pid)
    detector = load_detector("nanodet-g", settings=Settings(data_dir=folder))
    pool = stack.enter_context(ThreadPoolExecutor(workers))  # first come, first served

    def timed(data: bytes) -> float:
        start = time.perf_counter()
        detector.detect(data)
        return (time.perf_counter() - start) * 1e3

    def detect(data: bytes) -> Time:
        start = time.perf_counter()
        model = pool.submit(timed, data).result()
        whole = (time.perf_counter() - start) * 1e3
        return Time(whole, model, whole - model)

    ways["bare"] = Way(lambda: detect, os.getpid())
    return ways


def run_clients(client: Callable[[], Once], data: bytes, clients: int, each: int) -> list[Time]:
    """Let clients send pictures at once, each one after another; return what each picture took."""
    found: list[Time] = []

    def run() -> None:
        once = client()
        once(data)  # opens the connection
        found.extend([once(data) for _ in range(each)])

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) != clients * each:
        raise SystemExit("a client failed")
    return found


def api(port: int) -> Once:
    """Return a client of the API."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Prefer": "wait=60", "Content-Type": "image/jpeg"}

    def once(data: bytes) -> Time:
        start = time.perf_counter()
        answer = json.loads(fetch(connection, "POST", "/api/v1/detections", data, headers))
        whole = (time.perf_counter() - start) * 1e3
        begun, created = (datetime.fromisoformat(answer[name]) for name in ("started_at", "created_at"))
        queued = (begun - created).total_seconds() * 1e3
        return Time(whole, sum(answer["result"]["timings_ms"].values()), queued)

    return once


def form(port: int, path: str) -> Once:
    """Return a client that sends the picture in a form, as those of DeepStack do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'

    def once(data: bytes) -> Time:
        body = head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
        start = time.perf_counter()
        json.loads(fetch(connection, "POST", path, body, headers))
        return Time((time.perf_counter() - start) * 1e3)

    return once


@contextmanager
def litserve(workers: int) -> Iterator[tuple[int, int]]:
    """Run LitServe with the same detector; yield its process id and port."""
    port = free_port()
    script = Path(__file__).with_name("litserve_server.py")
    command = [sys.executable, str(script), str(port), str(workers)]
    with running(command, dict(os.environ), signal.SIGTERM) as process:
        wait_until_answered(f"http://127.0.0.1:{port}", process, path="/health")
        yield process.pid, port


def cpu_of(pid: int) -> float:
    """Return the seconds of processor time of a server and its descendants; of this process alone its own."""
    process = psutil.Process(pid)
    descendants = [] if pid == os.getpid() else process.children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in [process, *descendants])


def figures_of(times: dict[str, list[Time]]) -> results.Figures:
    """Return each way's milliseconds: all of them, and what is the service's own."""
    bare = statistics.median(one.whole for one in times["bare"])
    figures: results.Figures = {}
    for way, found in times.items():
        kinds = {"whole": [one.whole for one in found]}
        if found[0].model:
            kinds["own"] = [one.whole - one.model for one in found]
            kinds["own_less_waiting"] = [one.whole - one.model - one.queued for one in found]
        else:
            kinds["own_less_waiting"] = [one.whole - bare for one in found]
        figures[way] = {
            f"{kind}_p{percent}": float(np.percentile(values, percent))
            for kind, values in kinds.items()
            for percent in (50, 99)
        }
    return figures


def print_table(figures: results.Figures) -> None:
    """Print each way's times."""
    columns = ["whole", "own", "own_less_waiting"]
    print(f"{'':10}" + "".join(f"{column + ' p50':>22}{'p99':>7}" for column in columns) + f"{'CPU':>8}")
    for way, found in figures.items():
        cells = [(found.get(f"{c}_p50", math.nan), found.get(f"{c}_p99", math.nan)) for c in columns]
        print(f"{way:10}" + "".join(f"{p50:22.1f}{p99:7.1f}" for p50, p99 in cells) + f"{found['cpu']:8.1f}")


if __name__ == "__main__":
    main()
