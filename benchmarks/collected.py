"""A collection of ten thousand pictures: `python -m benchmarks.collected`.

Against an installation of its own: how long pages and lists take, how long the index takes to be made again,
and what a class renamed in all pictures, a split and an export need. Pictures are added by the package's own
code, since that is not what is measured.
"""

import http.client
import io
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.installation import fetch, installation
from flask_detector.broker.connection import connect
from flask_detector.broker.local_server import LocalRedis
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections, Limits
from flask_detector.storage.local import FolderStorage
from flask_detector.structures.annotation import Annotation
from flask_detector.structures.annotations import Annotations

PICTURES, OBJECTS, CLASSES, SIDE = 10_000, 8, 20, 640
TIMES = 15


def main() -> None:
    """Print seconds and megabytes."""
    with tempfile.TemporaryDirectory() as folder, installation(Path(folder)) as (process, port):
        id = _filled(Path(folder))
        connection = http.client.HTTPConnection("127.0.0.1", port)
        api, page = f"/api/v1/collections/{id}", f"/collections/{id}"
        for name, path in {
            "list, 100 of them": f"{api}/pictures?limit=100",
            "list, one class and state": f"{api}/pictures?limit=100&class=class+3&state=unseen",
            "collection with counts": api,
            "page": page,
            "page, one class and state": f"{page}?class=class+3&state=unseen",
            "list of collections": "/collections",
        }.items():
            before = _cpu_seconds(process)
            seconds = [_seconds(partial(fetch, connection, "GET", path)) for _ in range(TIMES)]
            cpu = (_cpu_seconds(process) - before) / TIMES
            print(
                f"{name}: {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms, "
                f"{cpu * 1000:.0f} ms of CPU time"
            )
        for name, path, form in (
            ("rename a class", f"{api}/classes", {"old": "class 3", "new": "renamed"}),
            ("split", f"{api}/split", {"validation": 0.2}),
        ):
            body = json.dumps(form).encode()
            headers = {"Content-Type": "application/json"}
            elapsed = _seconds(partial(fetch, connection, "POST", path, body, headers))
            print(f"{name}: {elapsed:.1f} s")
        memory, peak = _memory(process), _Peak(process)
        elapsed, size = _exported(connection, f"{api}/exports/coco", peak)
        print(f"export of {size / 1e6:.0f} MB: {elapsed:.1f} s")
        print(f"memory of the web process: {memory:.0f} MB before, {peak.mb:.0f} MB at most")
        with connect(LocalRedis(Path(folder) / "redis").url) as redis:
            redis.flushall()
        print(f"first page without an index: {_seconds(lambda: fetch(connection, 'GET', page)):.1f} s")


def _filled(folder: Path) -> str:
    """Make a collection and return its id."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 255, (60, 80, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((SIDE, SIDE * 3 // 4)).save(file, "JPEG")
    labels = tuple(f"class {number}" for number in range(CLASSES))
    with connect(LocalRedis(folder / "redis").url) as redis:
        store = Collections(FolderStorage(folder / "pictures"), redis, Limits(total=10**12, owner=10**12))
        pictures = Pictures(store)
        id = store.create("A benchmark", None, labels).id
        for number in range(PICTURES):
            objects = []
            for i in range(OBJECTS):
                x, y = generator.uniform(0, SIDE / 2, 2).round(1).tolist()
                label = labels[int(generator.integers(CLASSES))]
                objects.append(Annotation(f"m{i}", label, "model", 0.5, False, (x, y, x + 100, y + 100)))
            annotations = Annotations(SIDE, SIDE * 3 // 4, tuple(objects), labels)
            pictures.add(id, file.getvalue(), annotations, file_name=f"{number}.jpg")
    return id


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


class _Peak:
    """The most memory that the web process of an installation has taken when asked."""

    def __init__(self, process: int) -> None:
        self._process = process
        self.mb = 0.0

    def look(self) -> None:
        self.mb = max(self.mb, _memory(self._process))


def _memory(process: int) -> float:
    """Return the resident megabytes of the web process below a supervisor."""
    return sum(kilobytes for _, kilobytes in _web_processes(process)) / 1000


def _cpu_seconds(process: int) -> float:
    """Return the CPU time that the web process below a supervisor has taken so far."""
    stats = [Path(f"/proc/{id}/stat").read_text().rpartition(")")[2] for id, _ in _web_processes(process)]
    ticks = sum(int(ticks) for stat in stats for ticks in stat.split()[11:13])  # of the user, of the system
    return ticks / os.sysconf("SC_CLK_TCK")


def _web_processes(process: int) -> list[tuple[str, int]]:
    """Return the ids of the web processes below a supervisor, and their resident kilobytes."""
    found = subprocess.run(
        ["ps", "--ppid", str(process), "-o", "pid=,rss=,args="], capture_output=True, text=True, check=True
    )
    lines = [line.split(maxsplit=2) for line in found.stdout.splitlines()]
    return [(id, int(kilobytes)) for id, kilobytes, command in lines if " web" in command]


def _exported(connection: http.client.HTTPConnection, path: str, peak: _Peak) -> tuple[float, int]:
    """Return how long an export took and its bytes, which are read and thrown away."""
    start, size = time.perf_counter(), 0
    connection.request("GET", path)
    answer = connection.getresponse()
    while piece := answer.read(1 << 22):
        size += len(piece)
        peak.look()
    return time.perf_counter() - start, size


if __name__ == "__main__":
    main()
