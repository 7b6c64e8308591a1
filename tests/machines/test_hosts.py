"""A whole installation on hosts of its own: Redis, S3 and web on one each, workers on two."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flask_detector.broker.connection import connect
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from tests.support.waiting import wait_until

PICTURES = 40

_LIST = """
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
print(*open_storage(Settings()).older_than(-60))
"""


def large_picture(folder: Path) -> bytes:
    """Return a picture that takes long enough for a link to be cut meanwhile."""
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), np.uint8)
    Image.fromarray(noise).save(folder / "large.jpg", quality=40)
    return (folder / "large.jpg").read_bytes()


def ask(url: str, data: bytes | None = None, method: str | None = None) -> Any:
    request = urllib.request.Request(url, data, {"Content-Type": "image/jpeg"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
    return json.loads(body) if body else None


class Hosts:
    """The processes of one installation; they end with the stack of exits."""

    def __init__(self, stack: ExitStack, network: Any, folder: Path) -> None:
        self.names = ["redis", "bucket", "web", "first", "second"]
        self.address = {name: network.add(name) for name in self.names}
        self._stack, self._network, self._folder = stack, network, folder
        self.variables = {
            "REDIS_URL": f"redis://:secret@{self.address['redis']}:6379/0",
            "DETECTOR_OFFLINE": "1",
            "SECRET_KEY": "the same everywhere",
            "PORT": "8080",
            "DETECTOR_HOST": self.address["web"],
        }

    def run(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Run a command on a host."""
        own = {"DETECTOR_DATA_DIR": str(self._folder / name)}
        environment = {**os.environ, **self.variables, **own}
        whole = [*self._network.command(name), *command]
        process = subprocess.Popen(whole, env=environment, cwd=self._folder)
        self._stack.callback(process.wait, 20)
        self._stack.callback(process.kill)
        return process

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Run a command of the program on a host."""
        return self.run(name, sys.executable, "-m", "flask_detector", *command)

    def kept(self) -> set[str]:
        """Return the ids that the bucket has something under."""
        # In a process of its own: the library's threads stay where the first of them began.
        listing = [*self._network.command("web"), sys.executable, "-c", _LIST]
        return set(subprocess.check_output(listing, env={**os.environ, **self.variables}, text=True).split())


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server is on the PATH")
def test_a_worker_whose_host_is_cut_off_loses_no_picture_and_comes_back(
    network: Any, s3_on: Callable[..., Any], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        hosts = Hosts(stack, network, tmp_path)
        redis = ["--bind", hosts.address["redis"], "--requirepass", "secret", "--save", ""]
        hosts.run("redis", "redis-server", *redis)
        bucket = stack.enter_context(s3_on(network, "bucket", hosts.address["bucket"], tmp_path / "s3"))
        hosts.variables |= {**bucket.environment, "DETECTOR_STORAGE_URL": bucket.url("pictures")}
        workers = {name: hosts.start(name, "worker") for name in ("first", "second")}
        hosts.start("web", "web")
        stack.enter_context(network.at("redis"))
        site = f"http://{hosts.address['web']}:8080"
        settings = Settings(redis_url=hosts.variables["REDIS_URL"], data_dir=tmp_path / "test")
        jobs = Jobs(stack.enter_context(connect(hosts.variables["REDIS_URL"])), settings)

        def is_up() -> bool:
            try:
                with urllib.request.urlopen(f"{site}/healthz", timeout=5):
                    return len(jobs.workers()) == 2
            except (urllib.error.URLError, OSError):
                return False

        wait_until(is_up, 60)
        picture = large_picture(tmp_path)
        ids = [ask(f"{site}/api/v1/detections", picture)["id"] for _ in range(PICTURES)]
        queue = jobs.queue.connection

        def works(host: str) -> bool:
            ids = jobs.queue.started_job_registry.get_job_ids(cleanup=False)
            running = [jobs.queue.fetch_job(id) for id in ids]
            names = {job.worker_name for job in running if job is not None}
            pids = {name: queue.hget(f"rq:worker:{name}", "pid") for name in names}
            return str(workers[host].pid).encode() in pids.values()

        wait_until(lambda: works("first"), 30)
        network.cut_off("first")
        wait_until(lambda: all(record.status.is_final for record in jobs.find_all(ids)), 90)
        records = jobs.find_all(ids)
        assert len(records) == PICTURES
        assert {record.status for record in records} == {JobStatus.DONE}
        assert len(jobs.workers()) == 1

        network.bring_back("first")
        wait_until(lambda: len(jobs.workers()) == 2, 60)
        assert all(queue.xlen(f"rq:results:{id}") == 1 for id in ids)
        workers["second"].send_signal(signal.SIGTERM)
        assert workers["second"].wait(30) == 0
        later = ask(f"{site}/api/v1/detections", picture)["id"]
        wait_until(lambda: jobs.find(later).status is JobStatus.DONE, 60)
        assert all(queue.xlen(f"rq:results:{id}") == 1 for id in ids)

        assert hosts.kept() == {*ids, later}
        ask(f"{site}/api/v1/detections/{later}", method="DELETE")
        assert hosts.kept() == set(ids)
        assert not [path for name in hosts.names for path in (tmp_path / name).glob("pictures/*")]
