"""The web process that dies, and storage that is full or slow."""

import http.client
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from flask_detector.storage import open_storage
from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_a_web_process_killed_during_uploads_loses_nothing_that_it_accepted(
    installation: Installation, recovered: Recovered
) -> None:
    installation.start_worker()
    installation.wait_for_workers(1)
    assert installation.web_process is not None
    kept = installation.send_until_accepted(picture())
    listener = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
    listener.request("GET", f"/api/v1/detections/{kept}")
    listener.getresponse().read()
    flight = installation.in_flight()
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 20, 60)
    half = _half_an_upload(installation.port)
    stream = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
    installation.web_process.kill()
    installation.web_process.wait(20)
    start = time.monotonic()
    installation.start_web()
    recovered("web process killed during uploads: answers again after its start", time.monotonic() - start)
    half.close()
    stream.close()
    listener.close()
    assert installation.outcomes([kept, *flight.land()]) == {"done": 101}
    # What came in and was never answered may have been detected, too; of half an upload nothing is kept.
    records = {key.decode()[7:39] for key in installation.connection.scan_iter("rq:job:*")}
    stored = {path.parent.name for path in Path(installation.settings.data_dir).rglob("original")}
    assert len(stored - records) <= 8  # at most what each sender had under way


def test_an_event_stream_goes_on_after_its_web_process_was_killed(
    installation: Installation, recovered: Recovered
) -> None:
    """As any client's; what a browser does then, tests/browser/test_outages.py looks at."""
    assert installation.web_process is not None
    id = installation.send_until_accepted(picture())
    flight = installation.in_flight()
    stream = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
    stream.request("GET", f"/detections/{id}/events")
    answer = stream.getresponse()
    assert b"retry:" in answer.readline()
    installation.web_process.kill()
    installation.web_process.wait(20)
    while answer.readline():
        pass  # what was sent; then it ends and does not hang
    stream.close()
    start = time.monotonic()
    installation.start_web()
    installation.start_worker()
    again = installation.ask("GET", f"/detections/{id}/events")
    recovered("web process killed during an event stream: its end is told after", time.monotonic() - start)
    assert again.status == 200
    assert installation.record(id).status == "done"
    assert installation.outcomes([id, *flight.land()]) == {"done": 101}


def test_sigterm_lets_requests_finish_and_the_next_process_take_over(installation: Installation) -> None:
    installation.start_worker()
    installation.wait_for_workers(1)
    assert installation.web_process is not None
    flight = installation.in_flight()
    wait_until(lambda: installation.connection.zcard("rq:finished:detections") > 20, 60)
    installation.web_process.terminate()
    assert installation.web_process.wait(30) == 0
    installation.start_web()
    assert installation.outcomes(flight.land()) == {"done": 100}


def test_full_storage_refuses_uploads_with_a_reason_and_keeps_nothing_half(
    installation: Installation, recovered: Recovered
) -> None:
    installation.start_worker()
    ids = installation.send_many(20)
    assert installation.web_process is not None
    installation.web_process.kill()
    large = picture(size=(1600, 1200))
    installation.start_web(largest_file=len(large) // 2)
    before = set(Path(installation.settings.data_dir).rglob("*"))
    refused = installation.send(large)
    assert refused.status == 503
    assert refused.form["error"]["code"] == "storage_unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    files = {path for path in Path(installation.settings.data_dir).rglob("*") if path.is_file()}
    assert {path for path in files - before if "pictures" in path.parts} == set()
    ids += installation.send_many(20)  # small ones still find room
    installation.web_process.kill()
    installation.start_web()
    start = time.monotonic()
    ids.append(installation.send_until_accepted(large))
    recovered("storage full: next upload accepted after there is room", time.monotonic() - start)
    assert installation.outcomes(ids) == {"done": 41}


def test_slow_storage_makes_nobody_else_wait(installation: Installation) -> None:
    """A named pipe in a picture's place can be opened only when somebody writes: storage that hangs."""
    slow = installation.send_until_accepted(picture())
    others = installation.send_many(20)
    storage = Path(installation.settings.data_dir) / "pictures" / slow[:2] / slow / "original"
    data = storage.read_bytes()
    storage.unlink()
    os.mkfifo(storage)
    installation.start_worker()
    installation.start_worker()
    assert installation.outcomes(others) == {"done": 20}
    assert installation.record(slow).status == "running"
    assert installation.ask("GET", "/healthz").status == 200
    writer = threading.Thread(target=storage.write_bytes, args=(data,), daemon=True)
    writer.start()
    assert installation.outcomes([slow]) == {"done": 1}
    writer.join(10)


def test_a_picture_that_was_stored_and_never_queued_is_swept_away(installation: Installation) -> None:
    storage = open_storage(installation.settings)
    orphan, kept = "0" * 32, installation.send_until_accepted(picture())
    with open(__file__, "rb") as file:
        storage.put(orphan, "original", file)
    folder = Path(installation.settings.data_dir) / "pictures" / orphan[:2] / orphan
    yesterday = time.time() - 25 * 3600
    os.utime(folder, (yesterday, yesterday))
    installation.start_worker()
    wait_until(lambda: not folder.exists(), 60)
    assert installation.outcomes([kept]) == {"done": 1}


def _half_an_upload(port: int) -> socket.socket:
    """Begin to send a picture and stop in the middle."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    data = picture(size=(1600, 1200))
    head = f"POST /api/v1/detections HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data[: len(data) // 2])
    return connection


def test_a_stopped_web_process_is_the_only_thing_that_waits(installation: Installation) -> None:
    """Workers need no web process."""
    ids = installation.send_many(20)
    assert installation.web_process is not None
    os.kill(installation.web_process.pid, signal.SIGSTOP)
    installation.start_worker()
    assert installation.outcomes(ids) == {"done": 20}
