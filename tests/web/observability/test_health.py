"""What machines ask: health, readiness that names what is missing, and the metrics of all processes."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from flask_detector.errors import codes
from flask_detector.service import metrics
from flask_detector.settings import Settings
from flask_detector.storage.local import FolderStorage
from flask_detector.web import create_app
from tests.support.waiting import wait_until

Upload = Callable[..., TestResponse]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(client: FlaskClient, **options: Any) -> Samples:
    response = client.get("/metrics", **options)
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def one(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


@pytest.fixture
def unreachable_redis(settings: Settings) -> FlaskClient:
    return create_app(settings, connection=connect("redis://127.0.0.1:1")).test_client()


def test_a_process_that_answers_is_healthy_even_without_redis(unreachable_redis: FlaskClient) -> None:
    response = unreachable_redis.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")


def test_without_a_worker_the_installation_is_not_ready_and_says_so(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert [lack["what"] for lack in (response.json or {})["missing"]] == ["worker"]


def test_without_redis_it_is_not_ready_and_says_so(unreachable_redis: FlaskClient) -> None:
    response = unreachable_redis.get("/readyz")
    assert response.status_code == 503
    assert [lack["what"] for lack in (response.json or {})["missing"]] == ["redis"]


def test_with_a_live_worker_and_all_else_it_is_ready(
    client: FlaskClient,
    start_worker: Callable[[], object],
) -> None:
    start_worker()
    wait_until(lambda: client.get("/readyz").status_code == 200, 30)
    assert client.get("/readyz").json == {"ready": True, "missing": []}
    found = samples(client)
    assert one(found, "detector_workers") == 1
    memory = {
        dict(labels)["kind"]: value
        for (name, labels), value in found.items()
        if name == "detector_process_memory_bytes"
    }
    assert memory.keys() == {"web", "worker"}
    assert memory["worker"] > 20e6


def test_a_storage_that_can_not_be_written_to_is_named(settings: Settings, connection: redis.Redis) -> None:
    class Full(FolderStorage):
        def check(self) -> None:
            from flask_detector.errors import StorageUnavailable

            raise StorageUnavailable("A picture could not be written: No space left on device.")

    app = create_app(settings, connection=connection, storage=Full(settings.data_dir))
    missing = (app.test_client().get("/readyz").json or {})["missing"]
    assert {"what": "storage", "why": "A picture could not be written: No space left on device."} in missing


def test_the_probe_leaves_nothing_in_the_storage(client: FlaskClient, settings: Settings) -> None:
    client.get("/readyz")
    assert list((settings.data_dir / "pictures").iterdir()) == []


def test_requests_are_counted_by_route_and_never_by_address(client: FlaskClient) -> None:
    client.get("/healthz")
    client.get(f"/detections/{'a' * 32}")
    client.get("/nothing/here/at/all")
    client.open("/", method="BREW")
    found = samples(client)
    counted = "detector_http_requests_total"
    assert one(found, counted, method="GET", route="/healthz", status="200") == 1
    assert one(found, counted, method="GET", route="/detections/<key>", status="404") == 1
    assert one(found, counted, method="GET", route="(none)", status="404") == 1
    assert one(found, counted, method="(other)", route="(none)", status="405") == 1
    assert one(found, "detector_http_request_seconds_count", method="GET", route="/healthz") == 1
    assert "a" * 32 not in client.get("/metrics").text


def test_detections_are_measured_by_stage_and_model_and_failures_by_reason(
    client: FlaskClient, upload: Upload, work_off: Callable[[], None], jpeg: bytes
) -> None:
    upload(jpeg)
    upload(jpeg[:-40])
    found = samples(client)
    assert one(found, "detector_queue_waiting") == 2
    assert one(found, "detector_queue_oldest_seconds") > 0
    work_off()
    found = samples(client)
    assert one(found, "detector_detections_total", model="nanodet-g", outcome="done") == 1
    assert one(found, "detector_detections_total", model="(none)", outcome="failed") == 1
    assert one(found, "detector_failures_total", code="damaged_picture") == 1
    assert one(found, "detector_waiting_seconds_count") == 2
    assert one(found, "detector_queue_waiting") == 0
    assert one(found, "detector_stage_seconds_count", model="nanodet-g", stage="decode") == 1
    assert one(found, "detector_detection_seconds_count", model="nanodet-g") == 1
    assert one(found, "detector_detection_seconds_bucket", model="nanodet-g", le="+Inf") == 1


def test_the_metrics_tell_that_redis_is_down(unreachable_redis: FlaskClient) -> None:
    found = samples(unreachable_redis)
    assert one(found, "detector_redis_up") == 0
    assert any(name == "detector_process_memory_bytes" for name, _ in found)


def test_each_measure_has_a_family_even_before_it_counted(client: FlaskClient) -> None:
    families = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    assert {measure.name for measure in metrics.MEASURES} <= families


def test_what_is_known_beforehand_is_0_before_it_first_happens(client: FlaskClient) -> None:
    found = samples(client)
    for code in codes():
        assert one(found, "detector_failures_total", code=code) == 0
    for outcome in ("done", "failed"):
        for model in ("nanodet-g", "mask-rcnn-r50-fpn", "(none)"):
            assert one(found, "detector_detections_total", model=model, outcome=outcome) == 0
    assert one(found, "detector_retries_total") == 0
    assert one(found, "detector_waiting_seconds_bucket", le="+Inf") == 0
    assert one(found, "detector_detection_seconds_count", model="nanodet-g") == 0
    for method, route in (("GET", "/"), ("POST", "/api/v1/detections"), ("GET", "/static")):
        for status in ("500", "503"):
            assert one(found, "detector_http_requests_total", method=method, route=route, status=status) == 0


def test_metrics_are_open_on_this_machine_alone(client: FlaskClient, connection: redis.Redis) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 401
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 401
    for scope, status in ((Scope.USE, 403), (Scope.ADMIN, 200)):
        _, key = Keys(connection).create("prometheus", scope)
        headers = {"Authorization": f"Bearer {key}"}
        response = client.get("/metrics", environ_base={"REMOTE_ADDR": "10.1.2.3"}, headers=headers)
        assert response.status_code == status


@pytest.mark.parametrize(("setting", "status"), [("open", 200), ("admin", 401)])
def test_who_may_read_metrics_is_a_setting(
    settings: Settings, connection: redis.Redis, setting: str, status: int
) -> None:
    changed = settings.model_copy(update={"metrics": setting})
    client = create_app(changed, connection=connection).test_client()
    address = "10.1.2.3" if setting == "open" else "127.0.0.1"
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == status


def test_a_request_has_one_id_from_its_answer_to_the_worker(
    client: FlaskClient, work_off: Callable[[], None], jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    from flask_detector.process.logs import request_id

    seen: dict[str, str | None] = {}

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen[record.getMessage().split()[-1]] = request_id.get()

    handler = Note()
    logger = logging.getLogger("flask_detector")
    logger.addHandler(handler)
    caplog.set_level(logging.INFO)
    try:
        headers = {"X-Request-ID": "request-of-a-test"}
        response = client.post("/api/v1/detections", data=jpeg, content_type="image/jpeg", headers=headers)
        work_off()
    finally:
        logger.removeHandler(handler)
    assert response.headers["X-Request-ID"] == "request-of-a-test"
    assert seen["202"] == "request-of-a-test"
    assert seen["done"] == "request-of-a-test"
    assert seen["started"] == "request-of-a-test"
    assert request_id.get() is None


def test_no_line_of_a_whole_detection_names_the_file_or_the_whole_id(
    client: FlaskClient,
    upload: Upload,
    work_off: Callable[[], None],
    jpeg: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    address = upload(jpeg, "my secret holiday.jpg").headers["Location"]
    upload(jpeg[:-40], "another secret.jpg")
    work_off()
    client.get(address)
    client.get(f"{address}/drawn?score=0.3")
    told = "\n".join(f"{record.getMessage()} {record.__dict__.get('facts')}" for record in caplog.records)
    assert "is done" in told
    assert address.rsplit("/", 1)[-1] not in told
    assert "secret" not in told
