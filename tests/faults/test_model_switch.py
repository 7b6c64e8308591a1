"""A better model arrives while pictures are being detected: workers take it, and no picture is lost."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from PIL import Image

from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from tests.support.stack import environment_of
from tests.support.waiting import wait_until
from tests.support.weights import mask_rcnn_weights, write_safetensors

pytestmark = pytest.mark.slow

# The table's model has a published file; here it is one of the same size that a server of ours holds.
PROGRAM = """
import sys
from dataclasses import replace
from flask_detector.detectors.zoo.registry import MODELS, Published
url, sha256, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
main = replace(MODELS["mask-rcnn-r50-fpn"], source=Published(url, sha256, size), variant="mmdet-pytorch")
MODELS[main.name] = main
sys.argv = ["flask-detector", *sys.argv[4:]]
from flask_detector.cli import main
main()
"""


@pytest.fixture
def published(shared: Path, tmp_path: Path, serve_http: Callable[[HTTPServer], str]) -> list[str]:
    """The address, the sha256 and the size of weights on a server."""
    write_safetensors(tmp_path / "weights.safetensors", mask_rcnn_weights(shared, "mmdet/mask_rcnn_r50_fpn"))
    data = (tmp_path / "weights.safetensors").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    url = serve_http(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    return [f"{url}/weights.safetensors", hashlib.sha256(data).hexdigest(), str(len(data))]


def test_workers_take_a_better_model_when_it_is_there_leave_it_when_it_goes_and_lose_nothing(
    settings: Settings,
    connection: redis.Redis,
    published: list[str],
    queue_picture: Callable[..., None],
) -> None:
    jobs, storage = Jobs(connection, settings), open_storage(settings)
    file = io.BytesIO()
    Image.effect_noise((320, 240), 80).convert("RGB").save(file, "JPEG")
    picture = decode.check(file.getvalue(), Limits(1_000_000, 1_000_000))

    def submit() -> str:
        id = new_id()
        storage.put(id, ORIGINAL, io.BytesIO(file.getvalue()))
        queue_picture(jobs, id, "noise.jpg", picture)
        return id

    def model_of(id: str) -> str:
        return jobs.result(id)[0].model

    def run(*command: str) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-c", PROGRAM, *published, *command]
        return subprocess.Popen(program, env=environment_of(settings))

    worker = run("worker")
    try:
        first = submit()
        wait_until(lambda: jobs.find(first).status is JobStatus.DONE, 30)
        assert model_of(first) == "nanodet-g"
        fetch = run("models", "pull", "mask-rcnn-r50-fpn")
        ids = []
        while fetch.poll() is None:
            ids.append(submit())
            wait_until(lambda: jobs.find(ids[-1]).status.is_final, 60)
        assert fetch.returncode == 0
        wait_until(lambda: [w.model for w in jobs.workers()] == ["mask-rcnn-r50-fpn"], 30)
        last = submit()
        wait_until(lambda: jobs.find(last).status is JobStatus.DONE, 60)
        assert model_of(last) == "mask-rcnn-r50-fpn"
        assert jobs.result(last)[0].masks is not None
        assert [jobs.find(id).status for id in ids] == [JobStatus.DONE] * len(ids)
        assert run("models", "remove", "mask-rcnn-r50-fpn").wait(30) == 0
        left = []

        def is_left() -> bool:  # which model is the best is looked up once a moment
            left.append(submit())
            wait_until(lambda: jobs.find(left[-1]).status is JobStatus.DONE, 60)
            return model_of(left[-1]) == "nanodet-g"

        wait_until(is_left, 30)
    finally:
        worker.kill()
        worker.wait(10)
