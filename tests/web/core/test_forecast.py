"""What a waiting page says of the time: by the queue, the workers and the models' pace."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_detector.jobs.records import DetectionRequest, Record
from flask_detector.jobs.states import JobStatus
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.web.core.forecast import place_in_line
from flask_detector.web.core.service import Service

FAST, SLOW = "nanodet-g", "mask-rcnn-r50-fpn"


@pytest.fixture
def service(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose pace of two models is known, and which looks at the queue each time."""
    found: Service = app.extensions["flask-detector"]
    monkeypatch.setattr("flask_detector.web.core.forecast._REMEMBERED_SECONDS", -1)
    monkeypatch.setattr("flask_detector.web.core.available_models._REMEMBERED_SECONDS", -1)
    found.detection_times.record(FAST, 0.1)
    found.detection_times.record(SLOW, 4.0)
    return found


@pytest.fixture
def workers(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that lets so many workers be alive."""

    def let_live(number: int) -> None:
        worker = WorkerInfo("name", False, FAST, frozenset({FAST, SLOW, "rtmdet-s"}), "detections")
        monkeypatch.setattr(service.jobs, "workers", lambda: [worker] * number)

    return let_live


@pytest.fixture
def queued(service: Service, jpeg: bytes) -> Callable[[str], Record]:
    """A function that queues a picture for a model."""

    def queue(model: str) -> Record:
        id = service.accept(io.BytesIO(jpeg), DetectionRequest(model), filename="a.jpg")
        return service.jobs.find(id)

    return queue


def test_the_models_of_the_pictures_before_it_count_and_the_workers_share_them(
    service: Service, workers: Callable[[int], None], queued: Callable[[str], Record]
) -> None:
    workers(1)
    queued(SLOW), queued(SLOW), queued(FAST)
    last = queued(FAST)
    assert service.forecast.seconds(last) == pytest.approx(8.2)
    assert service.forecast.words(last) == "About 9 s."
    assert place_in_line(last) == "3 pictures are before yours."
    workers(2)
    assert service.forecast.seconds(last) == pytest.approx(4.15)


def test_a_batch_tells_when_its_last_picture_is_likely_to_be_done(
    service: Service,
    workers: Callable[[int], None],
    queued: Callable[[str], Record],
    client: FlaskClient,
    token: Callable[[], str],
    jpeg: bytes,
) -> None:
    pictures = [(io.BytesIO(jpeg), f"{n}.jpg") for n in range(2)]
    form = {"csrf_token": token(), "model": FAST, "picture": pictures}
    workers(1)
    queued(SLOW), queued(SLOW)
    path = client.post("/detections", data=form, headers={"Accept": "text/html"}).headers["Location"]
    assert "0 of 2 done. About 9 s." in client.get(path).text
    workers(0)
    page = client.get(path).text
    assert "About" not in page.partition("<main")[2].partition("</header>")[0]
    assert "No worker is running. The pictures stay in the queue" in page


def test_what_stands_behind_the_looked_at_part_of_a_long_queue_is_taken_to_be_like_it(
    service: Service,
    workers: Callable[[int], None],
    queued: Callable[[str], Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_detector.web.core.forecast._MOST", 2)
    workers(1)
    for _ in range(4):
        queued(SLOW)
    assert service.forecast.seconds(queued(FAST)) == pytest.approx(16.1)


def test_without_a_worker_no_time_is_told(
    service: Service, workers: Callable[[int], None], queued: Callable[[str], Record]
) -> None:
    workers(0)
    record = queued(FAST)
    assert service.forecast.seconds(record) is None
    assert service.forecast.words(record) == ""
    assert not service.forecast.has_worker(record)


def test_where_a_model_was_not_measured_the_time_is_said_to_be_unknown(
    service: Service, workers: Callable[[int], None], queued: Callable[[str], Record]
) -> None:
    workers(1)
    first, unknown, behind = queued(FAST), queued("rtmdet-s"), queued(FAST)
    assert service.forecast.words(first) == "About 1 s."
    assert service.forecast.words(unknown) == "How long it takes is not known yet."
    assert service.forecast.seconds(behind) is None


def test_one_that_runs_tells_the_rest_of_its_time_and_that_it_takes_longer(
    service: Service, workers: Callable[[int], None], queued: Callable[[str], Record]
) -> None:
    workers(1)

    def run_for(seconds: float) -> Record:
        started = datetime.now(UTC) - timedelta(seconds=seconds)
        return replace(record, status=JobStatus.RUNNING, started_at=started)

    record = queued(SLOW)
    assert service.forecast.words(run_for(1.5)) == "About 3 s more."
    assert service.forecast.words(run_for(10)) == "It takes longer than usual, which is 4 s."
    assert service.forecast.seconds(run_for(10)) is None


@pytest.mark.parametrize(("pace", "words"), [(41, "45 s"), (300, "5 min"), (7000, "1.9 h")])
def test_a_time_is_said_no_finer_than_it_is_known(
    service: Service, workers: Callable[[int], None], queued: Callable[[str], Record], pace: float, words: str
) -> None:
    workers(1)
    service.detection_times.record("rtmdet-s", pace)
    assert service.forecast.words(queued("rtmdet-s")) == f"About {words}."


def test_the_api_tells_it_as_long_as_it_waits(
    client: FlaskClient,
    service: Service,
    workers: Callable[[int], None],
    jpeg: bytes,
    work_off: Callable[[], None],
) -> None:
    workers(1)
    sent = client.post("/api/v1/detections?model=nanodet-g", data=jpeg).json
    assert sent is not None
    assert sent["estimated_seconds"] == pytest.approx(0.1)
    work_off()
    done = client.get(f"/api/v1/detections/{sent['id']}").json
    assert done is not None
    assert done["estimated_seconds"] is None
