"""The application's one way to jobs, storage and models."""

import io
import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask

from flask_detector.errors import DetectionExpired
from flask_detector.jobs.states import JobStatus
from flask_detector.web.core.service import Service


@pytest.fixture
def service(app: Flask) -> Service:
    found: Service = app.extensions["flask-detector"]
    return found


def test_waiting_returns_a_detection_as_soon_as_it_has_ended(
    service: Service, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    id = service.accept(io.BytesIO(jpeg), filename="a.jpg")
    found: list[JobStatus] = []
    waiting = threading.Thread(
        target=lambda: found.append(service.jobs.find_with_result(id, wait=60)[0].status)
    )
    waiting.start()
    work_off()
    waiting.join(10)
    assert found == [JobStatus.DONE]


def test_waiting_ends_after_its_time_with_the_detection_as_it_stands(service: Service, jpeg: bytes) -> None:
    id = service.accept(io.BytesIO(jpeg), filename="a.jpg")
    start = time.monotonic()
    assert service.jobs.find_with_result(id, wait=0.2)[0].status is JobStatus.QUEUED
    assert time.monotonic() - start >= 0.2


def test_waiting_for_a_deleted_detection_says_so(service: Service, jpeg: bytes) -> None:
    id = service.accept(io.BytesIO(jpeg), filename="a.jpg")
    service.delete(service.jobs.find(id))
    with pytest.raises(DetectionExpired):
        service.jobs.find_with_result(id, wait=1)
