"""Workers that may not have all the memory they would need, and workers that grow."""

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flask_detector.jobs.states import TRIES
from tests.support.installation import Installation
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux counts this memory"),
]


def test_a_detector_that_needs_more_memory_than_its_worker_may_have_fails_that_picture_alone(
    installation: Installation,
) -> None:
    hungry = installation.send_until_accepted(picture("take 4000"))
    modest = installation.send_until_accepted(picture("take 100"))
    worker = installation.start_faulty_worker(DETECTOR_WORKER_MEMORY_MB="3000")
    outcomes = installation.outcomes([hungry, modest, *installation.in_flight(50).land()])
    assert outcomes == {"done": 51, "failed": 1}
    failure = installation.record(hungry).failure
    assert failure is not None
    assert (failure.code, failure.message, failure.hint) == (
        "detection_failed",
        "The picture needs more memory than the worker may use.",
        "Send a smaller picture.",
    )
    assert worker.poll() is None


def test_a_picture_that_needs_more_memory_than_its_worker_may_have_fails_alone(
    installation: Installation,
) -> None:
    idle = installation.start_worker()
    wait_until(lambda: bool(installation.jobs.workers()), 60)
    enough_for_small_ones = _megabytes(idle, "VmData") + 120
    idle.kill()
    large = [installation.send_until_accepted(_large(format)) for format in ("AVIF", "JPEG")]
    worker = installation.start_worker(DETECTOR_WORKER_MEMORY_MB=str(enough_for_small_ones))
    outcomes = installation.outcomes([*large, *installation.in_flight(50).land()])
    assert outcomes == {"done": 50, "failed": 2}
    for id in large:
        failure = installation.record(id).failure
        assert failure is not None
        assert failure.code == "too_many_pixels"
        assert "more memory" in failure.message
    assert worker.poll() is None


def test_workers_that_grow_under_load_are_started_anew_and_lose_nothing(
    installation: Installation,
) -> None:
    ids = []
    for _ in range(4):
        ids += [installation.send_until_accepted(picture("keep 300")), *installation.send_many(10)]
    recycling = {"DETECTOR_WORKER_RECYCLE_MB": "300"}
    workers = [installation.start_faulty_worker(**recycling) for _ in range(2)]
    flight = installation.in_flight()
    ended: list[int] = []

    def all_are_done() -> bool:
        for i, worker in enumerate(workers):
            if (status := worker.poll()) is not None:  # what a supervisor does
                ended.append(status)
                workers[i] = installation.start_faulty_worker(**recycling)
        return installation.connection.zcard("rq:finished:detections") == 144

    wait_until(all_are_done, 100)
    ids += flight.land()
    assert installation.outcomes(ids) == {"done": 144}
    assert ended == [0] * len(ended)
    assert len(ended) >= 3
    for id in ids:  # none was given back, or taken for a dead worker's
        assert installation.connection.hget(f"rq:job:{id}", "retries_left") == str(TRIES - 1).encode()


def _megabytes(process: "subprocess.Popen[bytes]", what: str) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1000


def _large(format: str) -> bytes:
    """Return a picture of 36 megapixels, which is read as a whole in either format."""
    file = io.BytesIO()
    pixels = np.zeros((6000, 6000, 3), np.uint8)
    pixels[::7] = 200
    options: dict[str, dict[str, int]] = {"AVIF": {"speed": 10}, "JPEG": {"progressive": True}}
    Image.fromarray(pixels).save(file, format, **options[format])
    return file.getvalue()
