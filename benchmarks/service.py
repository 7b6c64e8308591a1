"""What the service adds to the model's own time, and what its processes need in memory.

Starts an installation of its own (embedded Redis, one worker, the embedded model), sends a picture again and
again, one at a time, and prints for each way the time from the first byte sent to the last one received:

- drawn: upload, wait for the end by server-sent events, fetch the drawn picture at full size;
- result: upload, wait, fetch the result as JSON.

The service's own share is that time less the time of the stages that the detector reports with the result.
Beside it, in the same run, a bare loop of the detector on the same picture in this process.

    python benchmarks/service.py PICTURE [--number 50]

Memory is the proportional set size (PSS, Linux), summed over all processes of the installation.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from flask_detector import images, load_detector
from flask_detector.settings import Settings

LIMITS = images.Limits(100_000_000, 100_000_000)


def main() -> None:
    """Run the measurements and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--number", type=int, default=50, help="how many pictures are measured each way")
    options = parser.parse_args()
    data: bytes = options.picture.read_bytes()
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder)) as (process, port, start_seconds),
    ):
        print(f"from start to the page answering: {start_seconds:.2f} s")
        for way in ("drawn", "result"):
            once(port, data, way)
        print_memory("idle", process)
        picture, _ = images.decode(data, LIMITS)
        detector = load_detector("nanodet-g", settings=Settings(data_dir=Path(folder)))
        detector.detect(picture)
        rows: dict[str, list[tuple[float, float]]] = {"drawn": [], "result": [], "bare": []}
        peak = 0.0
        for _ in range(options.number):
            for way in ("drawn", "result"):
                rows[way].append(once(port, data, way))
            start = time.perf_counter()
            found = detector.detect(picture, min_score=0.05)
            rows["bare"].append((time.perf_counter() - start, sum(found.timings.values())))
            peak = max(peak, memory_of(process)[0])
        print(f"\n{options.number} pictures each, {options.picture.name}, milliseconds")
        print(f"{'':8}{'p50':>8}{'p99':>8}{'model p50':>11}{'own share p50':>15}{'p99':>8}")
        for way, times in rows.items():
            whole = sorted(1000 * seconds for seconds, _ in times)
            own = sorted(1000 * (seconds - model) for seconds, model in times)
            model = statistics.median(1000 * model for _, model in times)
            print(
                f"{way:8}{median(whole):8.1f}{p99(whole):8.1f}{model:11.1f}{median(own):15.1f}{p99(own):8.1f}"
            )
        print()
        print_memory(f"under load (highest sum seen: {peak:.0f} MB)", process)


def once(port: int, data: bytes, way: str) -> tuple[float, float]:
    """Send a picture and fetch what is asked for; return all the seconds, and the detector's own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    start = time.perf_counter()
    id = json.loads(fetch(connection, "POST", "/api/v1/detections", data))["id"]
    fetch(connection, "GET", f"/detections/{id}/events")
    if way == "drawn":
        fetch(connection, "GET", f"/detections/{id}/download")
    else:
        fetch(connection, "GET", f"/api/v1/detections/{id}")
    seconds = time.perf_counter() - start
    result = json.loads(fetch(connection, "GET", f"/api/v1/detections/{id}"))["result"]
    connection.close()
    stages = {name: ms for name, ms in result["timings_ms"].items() if name != "decode"}
    return seconds, sum(stages.values()) / 1000


def fetch(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> bytes:
    """Do one request and return the whole answer."""
    headers = {} if body is None else {"Content-Type": "application/octet-stream"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {content[:200]!r}")
    return content


@contextmanager
def installation(folder: Path) -> Iterator[tuple[psutil.Process, int, float]]:
    """Run `flask-detector serve`; yield its process, its port and the seconds until its page answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DETECTOR_DATA_DIR": str(folder),
        "DETECTOR_OFFLINE": "1",
        "PORT": str(port),
    }
    environment.pop("REDIS_URL", None)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "flask_detector", "serve"], env=environment)
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                fetch(connection, "GET", "/")
                break
            except OSError:
                time.sleep(0.01)
        yield psutil.Process(process.pid), port, time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def memory_of(process: psutil.Process) -> tuple[float, dict[str, float]]:
    """Return the summed PSS of a process and its descendants in megabytes (10^6 bytes), and each one's."""
    each = {}
    for member in [process, *process.children(recursive=True)]:
        name = "redis" if "redis" in member.name() else " ".join(member.cmdline()[3:4]) or member.name()
        each[f"{name} ({member.pid})"] = member.memory_full_info().pss / 1e6
    return sum(each.values()), each


def print_memory(when: str, process: psutil.Process) -> None:
    """Print the memory of each process."""
    whole, each = memory_of(process)
    print(f"memory {when}: {whole:.0f} MB")
    for name, megabytes in each.items():
        print(f"  {name:24}{megabytes:6.0f} MB")


def median(ordered: list[float]) -> float:
    """Return the median."""
    return statistics.median(ordered)


def p99(ordered: list[float]) -> float:
    """Return the 99th percentile of an ordered list."""
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


if __name__ == "__main__":
    main()
