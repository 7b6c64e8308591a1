from types import SimpleNamespace

import pytest
import redis

from flask_detector.broker.connection import connect
from flask_detector.errors import BrokerUnavailable
from flask_detector.jobs.throughput import Pace


def test_a_model_that_did_nothing_yet_has_no_pace(connection: redis.Redis) -> None:
    assert Pace(connection).by_model() == {}


def test_the_last_few_pictures_decide(connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_detector.jobs.throughput._TELLING_SECONDS", 0)
    pace = Pace(connection)
    pace.tell("slow", 9.0)
    for _ in range(15):
        pace.tell("slow", 2.0)
    pace.tell("fast", 0.05)
    assert pace.by_model() == pytest.approx({"slow": 2.0, "fast": 0.05}, abs=0.05)


def test_a_fast_model_is_told_now_and_then_and_another_one_at_once(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("flask_detector.jobs.throughput.time", clock)
    pace = Pace(connection)
    pace.tell("fast", 0.05)
    now += 0.9
    pace.tell("fast", 1.05)
    pace.tell("slow", 9.0)
    assert pace.by_model() == {"fast": 0.05, "slow": 9.0}
    now += 0.1
    pace.tell("fast", 0.35)
    assert pace.by_model() == {"fast": pytest.approx(0.35, abs=0.001), "slow": 9.0}


def test_without_redis_a_worker_goes_on_and_a_page_is_told() -> None:
    pace = Pace(connect("redis://127.0.0.1:1"))
    pace.tell("any", 1.0)
    with pytest.raises(BrokerUnavailable):
        pace.by_model()
