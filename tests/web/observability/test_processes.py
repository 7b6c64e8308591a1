"""Any web process tells the memory of all processes."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from flask_detector.broker import connection as broker
from flask_detector.service import metrics
from flask_detector.settings import Settings
from flask_detector.web.observability import processes
from flask_detector.web.observability.processes import Presence, Process
from tests.support.ports import free_port
from tests.support.stack import Stack, environment_of
from tests.support.waiting import wait_until


def told(text: str) -> dict[tuple[str, int], float]:
    """Return the memory by kind and number of process."""
    return {
        (sample.labels["kind"], int(sample.labels["process"])): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "detector_process_memory_bytes"
    }


def test_an_installation_tells_of_web_worker_and_supervisor(stack: Stack) -> None:
    def kinds() -> list[str]:
        with urllib.request.urlopen(f"{stack.url}/metrics", timeout=10) as answer:
            memory = told(answer.read().decode())
        assert all(5e6 < value < 2e9 for value in memory.values()), memory
        return sorted(kind for kind, _ in memory)

    wait_until(lambda: kinds() == ["supervisor", "web", "worker"], 30)


def test_a_web_process_without_requests_is_told_of_by_another_one_until_it_ends(
    settings: Settings,
    connection: redis.Redis,
    client: FlaskClient,
) -> None:
    port = free_port()
    environment = environment_of(settings.model_copy(update={"port": port}))
    other = subprocess.Popen([sys.executable, "-m", "flask_detector", "web"], env=environment)
    try:

        def is_told_of() -> bool:
            return ("web", other.pid) in told(client.get("/metrics").text)

        wait_until(is_told_of, 30)
        assert told(client.get("/metrics").text)["web", other.pid] > 20e6
        assert ("web", os.getpid()) in told(client.get("/metrics").text)
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).close()
        with pytest.raises(urllib.request.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing", timeout=10)
        refused.value.close()
    finally:
        other.send_signal(signal.SIGTERM)
        other.wait(30)
    statuses = {one.labels[2] for one in metrics.read(connection) if one.measure is metrics.REQUESTS}
    assert "404" in statuses, "what it had counted last is lost"
    assert not is_told_of()


def test_a_process_that_is_silent_is_left_out_and_forgotten_by_the_next_one(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, other = Presence(), Presence()
    silent.report(connection)
    other.report(connection)
    assert {one.name for one in processes.read(connection)} == {silent._name, other._name}
    monkeypatch.setattr(processes, "_SILENCE_SECONDS", 1)
    wait_until(lambda: processes.read(connection) == [], 10)
    other.report(connection)
    assert connection.hlen("flask-detector:web") == 1


def test_processes_of_one_number_in_two_containers_of_a_host_are_told_apart(
    connection: redis.Redis, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for memory in (1_000_000, 2_000_000):
        there = Presence()
        monkeypatch.setattr(
            there,
            "processes",
            lambda there=there, memory=memory: [Process("web", "one", 1, there._name, memory)],
        )
        there.report(connection)
    lines = [line for line in client.get("/metrics").text.splitlines() if 'host="one"' in line]
    assert sorted(float(line.rsplit(" ", 1)[1]) for line in lines) == [1e6, 2e6]
    assert len({line.rsplit(" ", 1)[0] for line in lines}) == 2


def test_a_full_redis_is_still_read(connection: redis.Redis, client: FlaskClient) -> None:
    Presence().report(connection)
    connection.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.RedisError) as refused:
            Presence().report(connection)
        assert broker.is_full(refused.value)
        assert len(processes.read(connection)) == 1
        assert "detector_redis_up 1.0" in client.get("/metrics").text
    finally:
        connection.config_set("maxmemory", 0)
