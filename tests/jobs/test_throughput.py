from types import SimpleNamespace

import pytest
import redis

from flask_detector.broker.connection import connect
from flask_detector.errors import BrokerUnavailable
from flask_detector.jobs.throughput import DetectionTimes


def test_a_model_that_did_nothing_yet_has_no_pace(connection: redis.Redis) -> None:
    assert DetectionTimes(connection).by_model() == {}


def test_the_last_few_pictures_decide(connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_detector.jobs.throughput._WRITE_SECONDS", 0)
    times = DetectionTimes(connection)
    times.record("slow", 9.0)
    for _ in range(15):
        times.record("slow", 2.0)
    times.record("fast", 0.05)
    assert times.by_model() == pytest.approx({"slow": 2.0, "fast": 0.05}, abs=0.05)


def test_a_fast_model_is_told_now_and_then_and_another_one_at_once(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("flask_detector.jobs.throughput.time", clock)
    times = DetectionTimes(connection)
    times.record("fast", 0.05)
    now += 0.9
    times.record("fast", 1.05)
    times.record("slow", 9.0)
    assert times.by_model() == {"fast": 0.05, "slow": 9.0}
    now += 0.1
    times.record("fast", 0.35)
    assert times.by_model() == {"fast": pytest.approx(0.35, abs=0.001), "slow": 9.0}


def test_without_redis_a_worker_goes_on_and_a_page_is_told() -> None:
    times = DetectionTimes(connect("redis://127.0.0.1:1"))
    times.record("any", 1.0)
    with pytest.raises(BrokerUnavailable):
        times.by_model()
