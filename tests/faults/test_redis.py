"""Redis that goes away, comes back, is full or can't write."""

import http.client
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

# RQ's own pauses before it connects again would end after 31 and after 63 seconds.
OUTAGE_SECONDS = 33


def test_a_restarted_redis_has_lost_nothing_and_all_reconnect(
    installation: Installation, recovered: Recovered
) -> None:
    workers = [installation.start_worker() for _ in range(2)]
    installation.wait_for_workers(2)
    flight = installation.in_flight()
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 20, 60)
    done = cast(list[bytes], installation.connection.zrange("rq:finished:detections", 0, -1))
    installation.stop_redis()
    start = time.monotonic()
    installation.start_redis()
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > len(done), 60)
    recovered("Redis killed and started again: next result after", time.monotonic() - start)
    ids = flight.land()
    assert installation.outcomes(ids) == {"done": 100}
    assert {id.decode() for id in done} <= set(ids)
    assert [worker.poll() for worker in workers] == [None, None]


def test_an_outage_of_redis_is_told_and_work_goes_on_after_it(
    installation: Installation, recovered: Recovered, serve_http: Callable[[HTTPServer], str]
) -> None:
    receiver = _Receiver()
    address = f"/api/v1/detections?callback_url={serve_http(receiver)}/hook"
    ids = installation.send_many(100, comment="wait 0.2")
    told = installation.ask("POST", address, picture()).form["id"]
    workers = [installation.start_faulty_worker() for _ in range(2)]
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 5, 60)
    installation.stop_redis()
    began = time.monotonic()
    flight = installation.in_flight()
    refused = installation.send(picture())
    assert refused.status == 503
    assert refused.form["error"]["code"] == "broker_unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    for path in ("/", f"/detections/{ids[-1]}", "/history"):
        status, page = _page(installation, path)
        assert status == 503
        assert "Redis can" in page
    assert time.monotonic() - began < OUTAGE_SECONDS, "each answer came within seconds"
    time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
    before = time.monotonic()
    installation.start_redis()
    done = installation.connection.zcard("rq:finished:detections")
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > done, 60)
    recovered(f"Redis away for {OUTAGE_SECONDS} s: next result after its return", time.monotonic() - before)
    installation.wait_for(told)
    ended = time.monotonic()
    wait_until(lambda: receiver.received > 0, 60)
    recovered("Redis away for 33 s: webhook after the end of its detection", time.monotonic() - ended)
    assert time.monotonic() - ended < 15
    assert installation.outcomes([*ids, told, *flight.land()]) == {"done": 201}
    assert receiver.received == 1
    assert flight.refusals[503] > 0
    assert [worker.poll() for worker in workers] == [None, None]


def test_a_full_redis_refuses_uploads_and_still_finishes_what_waits(
    installation: Installation, recovered: Recovered
) -> None:
    ids = installation.send_many(100)
    used = installation.connection.info("memory")["used_memory"]
    installation.connection.config_set("maxmemory-policy", "noeviction")
    installation.connection.config_set("maxmemory", int(used * 1.05))
    time.sleep(1.5)  # the web process looks once a second
    refused = installation.send(picture())
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    # Now there is no room for anything at all, also not for a result.
    installation.connection.config_set("maxmemory", 1)
    workers = [installation.start_worker() for _ in range(2)]
    time.sleep(8)
    assert [worker.poll() for worker in workers] == [None, None]
    start = time.monotonic()
    installation.connection.config_set("maxmemory", 0)
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 0, 60)
    recovered("Redis full: first result after there is room", time.monotonic() - start)
    assert installation.outcomes(ids) == {"done": 100}
    installation.send_until_accepted(picture())


def test_a_redis_that_can_not_write_to_its_disk_loses_nothing(
    installation: Installation, recovered: Recovered
) -> None:
    """Redis refuses all changes (MISCONF) while its log can't be written; here its snapshot can't."""
    ids = installation.send_many(100, comment="wait 0.2")
    workers = [installation.start_faulty_worker() for _ in range(2)]
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 5, 60)
    in_the_way = Path(str(installation.connection.config_get("dir")["dir"])) / "dump.rdb"
    (in_the_way / "full").mkdir(parents=True)
    installation.connection.config_set("save", "3600 1")
    installation.connection.bgsave()
    wait_until(lambda: installation.connection.info("persistence")["rdb_last_bgsave_status"] == "err", 30)
    refused = installation.send(picture())
    assert refused.status == 503
    flight = installation.in_flight()
    time.sleep(3)
    start = time.monotonic()
    installation.connection.config_set("save", "")
    installation.connection.config_set("stop-writes-on-bgsave-error", "no")
    done = installation.connection.zcard("rq:finished:detections")
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > done, 60)
    recovered("Redis can't write to its disk: next result after it can", time.monotonic() - start)
    assert installation.outcomes([*ids, *flight.land()]) == {"done": 200}
    assert [worker.poll() for worker in workers] == [None, None]


def test_a_redis_that_hangs_makes_nobody_wait_long(installation: Installation, recovered: Recovered) -> None:
    """It accepts connections and says nothing, as a host without memory does."""
    assert installation.redis_process is not None
    id = installation.send_until_accepted(picture())
    os.kill(installation.redis_process.pid, signal.SIGSTOP)
    answers: list[int] = []

    def ask(path: str) -> None:
        answers.append(_page(installation, path)[0])

    paths = ["/", f"/detections/{id}", f"/api/v1/detections/{id}", "/about"]
    threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    os.kill(installation.redis_process.pid, signal.SIGCONT)
    assert answers == [503] * len(paths)
    installation.start_worker()
    start = time.monotonic()
    assert installation.ask("GET", f"/api/v1/detections/{id}").status == 200
    recovered("Redis hangs: answers again once it does", time.monotonic() - start)
    assert installation.outcomes([id]) == {"done": 1}


class _Receiver(ThreadingHTTPServer):
    """Counts the webhooks that it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Received)
        self.received = 0


class _Received(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _page(installation: Installation, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=45)
    try:
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        return answer.status, re.sub(r"&#39;|&#x27;", "'", answer.read().decode())
    finally:
        connection.close()
