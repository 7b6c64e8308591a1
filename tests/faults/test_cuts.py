"""The way to Redis is cut after each command in turn: a repetition finds nothing or the whole."""

import contextlib
import http.client
import io
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from rq.job import Job
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import Cookie, TestResponse

from flask_detector.api_keys import Key, Keys
from flask_detector.broker.connection import connect
from flask_detector.detectors import AUTO
from flask_detector.errors import BrokerUnavailable, UnknownKey
from flask_detector.jobs.admission import share_of
from flask_detector.jobs.batches import Batches
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import DetectionRequest, Failure
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.webhooks.sender import Courier
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.maintenance import Maintenance
from tests.support.cutting_proxy import CuttingProxy
from tests.support.pictures import picture
from tests.support.ports import free_port
from tests.support.stack import environment_of
from tests.support.waiting import wait_until

API = "/api/v1"
CALLBACK = "http://receiver.example/hook"
MOST_COMMANDS = 200

T = TypeVar("T")


@dataclass
class Site:
    """An application whose way to Redis leads through the proxy, and what lies there and in storage."""

    app: Flask
    proxy: CuttingProxy
    redis: Any
    settings: Settings
    client: FlaskClient = field(init=False)
    key: Key = field(init=False)
    headers: dict[str, str] = field(init=False)

    def begin(self) -> None:
        """Begin with nothing but a key."""
        self.restore({}, {}, None)
        self.key, text = Keys(self.redis).create("a")
        self.headers = {"X-API-Key": text}

    def saved(self) -> tuple[dict[bytes, tuple[int, bytes]], dict[Path, bytes], Cookie | None]:
        """Return what there is now, for `restore`: in Redis, in storage, and with the browser."""
        kept = {key: (max(0, self.redis.pttl(key)), self.redis.dump(key)) for key in self.redis.scan_iter()}
        files = {path: path.read_bytes() for id in self._folders() for path in id.iterdir()}
        return kept, files, self.client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])

    def restore(
        self, kept: dict[bytes, tuple[int, bytes]], files: dict[Path, bytes], cookie: Cookie | None
    ) -> None:
        """Have nothing but what was saved; connections and scripts are new to Redis."""
        for folder in self._folders():
            shutil.rmtree(folder)
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.flushall()
            pipeline.script_flush()
            for key, (ttl, value) in kept.items():
                pipeline.restore(key, ttl, value)
            pipeline.execute()
        self.service.connection.connection_pool.disconnect()
        self.client = self.app.test_client()
        if cookie is not None:
            self.client.set_cookie(cookie.key, cookie.value)

    @property
    def service(self) -> Service:
        found: Service = self.app.extensions["flask-detector"]
        return found

    def jobs(self) -> list[str]:
        """Return the ids of all records."""
        return sorted(key.decode().rpartition(":")[2] for key in self.redis.scan_iter("rq:job:" + "?" * 32))

    def pictures(self) -> list[str]:
        """Return the ids under which pictures are stored."""
        return sorted(one.name for one in self._folders())

    def _folders(self) -> Iterator[Path]:
        return (self.settings.data_dir / "pictures").glob("??/*")

    def send(self, pictures: int = 1, **options: Any) -> TestResponse:
        """Send pictures, each time the same ones."""
        form: MultiDict[str, Any] = MultiDict({"callback_url": CALLBACK})
        for number in range(pictures):
            form.add("picture", FileStorage(io.BytesIO(picture(str(number))), f"{number}.jpg"))
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.post(f"{API}/detections", data=form, headers=headers, **options)

    def check(self, *, unused: int = 0) -> None:
        """Everything that lies in Redis is about the same detections, and each of them has its picture.

        unused: how many pictures without a record there may be, of requests whose fate was not known.
        """
        jobs = self.jobs()
        assert set(jobs) <= set(self.pictures())
        assert len(self.pictures()) <= len(jobs) + unused
        waiting = [id for id in jobs if self.redis.hget(Job.key_for(id), "status") == b"queued"]
        queue = [id.decode() for id in self.redis.lrange("rq:queue:detections", 0, -1)]
        assert sorted(queue) == waiting
        owner = self.redis.zrange(f"flask-detector:history:{self.key.owner}", 0, -1)
        assert sorted(id.decode() for id in owner) == jobs
        share = self.redis.smembers(f"flask-detector:share:{share_of(self.key.owner)}")
        assert sorted(id.decode() for id in share) == waiting
        deliveries = self.redis.scan_iter("flask-detector:delivery:*")
        assert sorted(key.decode().rpartition(":")[2] for key in deliveries) == waiting
        lists = [self.redis.zrange(key, 0, -1) for key in self.redis.scan_iter("flask-detector:receiver:*")]
        assert sorted(id.decode() for ids in lists for id in ids) == waiting
        for key in self.redis.scan_iter("flask-detector:batch:*"):
            batch = Batches(self.redis, 1).find(key.decode().rpartition(":")[2])
            assert set(batch.detections) <= set(jobs)

    def sweep(self) -> None:
        """Let time pass and workers do their maintenance; records stay."""
        for path in self._folders():
            os.utime(path, (0, 0))
        context = WorkerContext.of(self.settings, self.redis, self.service.storage)
        Maintenance(context, None)._sweep()  # type: ignore[arg-type]  # no heartbeat
        assert self.pictures() == self.jobs()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Site]:
    proxy = CuttingProxy(redis_url.removeprefix("unix://"))
    data = tmp_path_factory.mktemp("cuts")
    settings = Settings(data_dir=data, redis_url=proxy.url, offline=True)
    with connect(proxy.url) as connection, connect(redis_url) as direct:
        app = create_app(settings, connection=connection)
        app.config["WTF_CSRF_ENABLED"] = False
        yield Site(app, proxy, direct, settings)
    proxy.close()


def id_of(answer: TestResponse) -> str:
    return str(answer.headers["Location"]).rpartition("/")[2]


@dataclass(frozen=True)
class Way:
    """How the connection is cut."""

    loses_answer: bool
    lasts: bool


# Where everything is cut once Redis has done the command, nobody can know what became of it.
ANSWER_LOST = {"loses_answer": True, "lasts": True}
WAYS = [
    pytest.param(Way(**ANSWER_LOST), id="for a while, with the answer"),
    pytest.param(Way(loses_answer=False, lasts=True), id="for a while", marks=pytest.mark.slow),
    pytest.param(Way(loses_answer=True, lasts=False), id="once, with the answer", marks=pytest.mark.slow),
    pytest.param(Way(loses_answer=False, lasts=False), id="once", marks=pytest.mark.slow),
]


def at_each_command(site: Site, way: Way, prepare: Callable[[], T], act: Callable[[T], int]) -> Iterator[T]:
    """Cut at each command of an act in turn, until one is not reached; yield what was prepared, mended again.

    The act returns a status, and is done a second time by the test. Where only one connection is cut once,
    nobody sees that.
    """
    site.begin()
    prepared = prepare()
    prepared_site = site.saved()
    for number in range(MOST_COMMANDS):
        site.restore(*prepared_site)
        site.proxy.cut(lambda at, _, number=number: at == number, **asdict(way))  # type: ignore[misc]  # mypy infers no lambda with a default
        status = act(prepared)
        was_cut = site.proxy.has_cut
        site.proxy.repair()
        assert status < 400 or (status == 503 and was_cut and way.lasts)
        yield prepared
        if not was_cut:
            assert number > 3
            return
    raise AssertionError("there is no end of commands")


@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_upload_with_a_key_is_there_once(site: Site, way: Way) -> None:
    answers: list[TestResponse] = []

    def send(_: None) -> int:
        answers.append(site.send(headers={"Idempotency-Key": "a"}))
        return answers[-1].status_code

    for _ in at_each_command(site, way, lambda: None, send):
        first, again = answers[-1], site.send(headers={"Idempotency-Key": "a"})
        assert again.status_code == 202
        assert site.jobs() == [id_of(again)]
        assert first.status_code == 503 or id_of(first) == id_of(again)
        site.check(unused=first.status_code == 503)
        site.sweep()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_an_upload_without_a_key_is_there_as_a_whole_or_not_at_all(site: Site, way: Way) -> None:
    answers: list[TestResponse] = []

    def send(_: None) -> int:
        answers.append(site.send())
        return answers[-1].status_code

    for _ in at_each_command(site, way, lambda: None, send):
        first, again = answers[-1], site.send()
        assert again.status_code == 202
        assert id_of(again) in site.jobs()
        if first.status_code == 202:
            assert sorted([id_of(first), id_of(again)]) == site.jobs()
        site.check(unused=first.status_code == 503)
        site.sweep()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_batch_with_a_key_is_there_once(site: Site, way: Way) -> None:
    answers: list[TestResponse] = []

    def send(_: None) -> int:
        answers.append(site.send(2, headers={"Idempotency-Key": "a"}))
        return answers[-1].status_code

    for _ in at_each_command(site, way, lambda: None, send):
        first, again = answers[-1], site.send(2, headers={"Idempotency-Key": "a"})
        assert again.status_code == 202
        assert first.status_code == 503 or id_of(first) == id_of(again)
        batch = Batches(site.redis, 1).find(id_of(again))
        assert sorted(batch.detections) == site.jobs()
        assert batch.refused == ()
        site.check(unused=2 * (first.status_code == 503))
        site.sweep()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_cancel_has_cancelled(site: Site, way: Way) -> None:
    def cancel(id: str) -> int:
        return site.client.post(f"{API}/detections/{id}/cancel", headers=site.headers).status_code

    for id in at_each_command(site, way, lambda: id_of(site.send()), cancel):
        assert cancel(id) == 200
        assert Jobs(site.redis, site.settings).find(id).status is JobStatus.CANCELLED
        site.check()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_delete_has_deleted(site: Site, way: Way) -> None:
    def delete(id: str) -> int:
        return site.client.delete(f"{API}/detections/{id}", headers=site.headers).status_code

    for id in at_each_command(site, way, lambda: id_of(site.send()), delete):
        assert delete(id) in {204, 410}
        assert site.jobs() == site.pictures() == []
        site.check()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_delete_of_a_batch_has_deleted_all_of_it(site: Site, way: Way) -> None:
    def delete(id: str) -> int:
        return site.client.delete(f"{API}/batches/{id}", headers=site.headers).status_code

    for id in at_each_command(site, way, lambda: id_of(site.send(2)), delete):
        assert delete(id) in {204, 404}
        assert site.jobs() == site.pictures() == []
        site.check()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_revocation_has_revoked(site: Site, way: Way) -> None:
    def revoke(id: str) -> int:
        try:
            Keys(site.service.connection).revoke(id)
        except BrokerUnavailable:
            return 503
        return 200

    for id in at_each_command(site, way, lambda: site.key.id, revoke):
        with contextlib.suppress(UnknownKey):
            revoke(id)
        assert Keys(site.redis).list() == []


def post(site: Site, address: str) -> int:
    return site.client.post(address).status_code


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_an_operator_has_tried_again_waits_once_or_has_failed_still(site: Site, way: Way) -> None:
    def prepare() -> str:
        id = id_of(site.send())
        queue = Jobs(site.redis, site.settings).queue
        attempts = Attempts(queue, worker="one", location="here")
        attempt = attempts.take()
        assert attempt is not None
        assert attempts.fail(attempt, Failure("detection_failed", "", ""))
        return id

    def try_again(_: str) -> int:
        try:
            site.service.overview.retry_failed()
        except BrokerUnavailable:
            return 503
        return 200

    for id in at_each_command(site, way, prepare, try_again):
        waiting = site.redis.lrange("rq:queue:detections", 0, -1)
        failed = site.redis.zrange("rq:failed:detections", 0, -1)
        assert len(waiting) + len(failed) == 1
        try_again(id)
        assert site.redis.lrange("rq:queue:detections", 0, -1) == [id.encode()]
        assert Jobs(site.redis, site.settings).find(id).failure is None


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_repeated_upload_of_a_browser_is_there_as_a_whole_and_in_its_history(site: Site, way: Way) -> None:
    def send(_: None) -> int:
        data = {"picture": [(io.BytesIO(picture(name)), f"{name}.jpg") for name in "ab"]}
        return site.client.post("/detections", data=data).status_code

    for _ in at_each_command(site, way, lambda: None, send):
        assert send(None) == 303
        (history,) = site.redis.scan_iter("flask-detector:history:*")
        jobs = sorted(id.decode() for id in site.redis.zrange(history, 0, -1))
        assert jobs == site.jobs()
        assert len(jobs) in {2, 4}
        assert set(jobs) <= set(site.pictures())


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["share", "withdraw", "again", "delete"])
def test_a_repeated_action_of_a_page_has_done_it(site: Site, way: Way, action: str) -> None:
    def prepare() -> str:
        sent = site.client.post("/detections", data={"picture": (io.BytesIO(picture()), "a.jpg")})
        if action == "withdraw":
            post(site, f"{sent.headers['Location']}/share")
        return str(sent.headers["Location"])

    for address in at_each_command(site, way, prepare, lambda address: post(site, f"{address}/{action}")):
        assert post(site, f"{address}/{action}") in ({303, 410} if action == "delete" else {303})
        shared = {key.decode().rpartition(":")[2] for key in site.redis.scan_iter("flask-detector:shared:*")}
        tokens = {site.redis.get(key).decode() for key in site.redis.scan_iter("flask-detector:token:*")}
        assert shared == tokens
        assert len(shared) == (action == "share")
        if action == "delete":
            assert site.jobs() == []
            due = site.redis.zrange("flask-detector:deletions", 0, -1)
            site.redis.zadd("flask-detector:deletions", dict.fromkeys(due, 0))
            site.service.deletions.carry_out()
            assert site.pictures() == []
        assert set(site.jobs()) <= set(site.pictures())


def test_a_real_server_takes_a_repetition_for_the_first_request_after_an_outage(
    tmp_path: Path,
    redis_url: str,
    connection: redis.Redis,
    start_worker: Callable[[], "subprocess.Popen[bytes]"],
    settings: Settings,
) -> None:
    proxy = CuttingProxy(redis_url.removeprefix("unix://"))
    through = settings.model_copy(update={"redis_url": proxy.url, "port": free_port()})
    command = [sys.executable, "-m", "flask_detector", "web"]
    web = subprocess.Popen(command, env=environment_of(through))

    def send() -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", through.port, timeout=60)) as way:
            headers = {"Content-Type": "image/jpeg", "Idempotency-Key": "a"}
            way.request("POST", f"{API}/detections", picture(), headers)
            answer = way.getresponse()
            answer.read()
            return answer.status, answer.headers.get("Location", "")

    def is_up() -> bool:
        assert web.poll() is None
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", through.port)).close()
            return True
        return False

    try:
        wait_until(is_up, 60)
        proxy.cut(lambda _, command: b":decided:" in command and b"EVALSHA" in command, **ANSWER_LOST)
        assert send()[0] == 503
        assert proxy.has_cut
        proxy.repair()
        status, address = send()
        assert status == 202
        assert send() == (202, address)
        start_worker()
        jobs = Jobs(connection, settings)
        wait_until(lambda: jobs.find(address.rpartition("/")[2]).status is JobStatus.DONE, 60)
        assert jobs.count() == 0
    finally:
        web.terminate()
        web.wait(30)
        proxy.close()


def test_a_webhook_that_was_received_while_redis_went_away_is_not_sent_again(
    site: Site,
    jpeg: bytes,
    serve_http: Callable[[HTTPServer], str],
) -> None:
    received: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.headers["Webhook-Id"])
            site.proxy.cut(lambda *_: True, loses_answer=False, lasts=True)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:
            pass

    url = serve_http(ThreadingHTTPServer(("127.0.0.1", 0), Receiver))
    site.begin()
    request = DetectionRequest(AUTO, callback_url=f"{url}/hook")
    id = site.service.accept(io.BytesIO(jpeg), request, filename="a.jpg")
    queue = Jobs(site.redis, site.settings).queue
    transitions = Attempts(queue, worker="one", location="here")
    attempt = transitions.take()
    assert attempt is not None
    transitions.fail(attempt, Failure("damaged_picture", "", ""))
    settings = site.settings.model_copy(update={"allow_private_addresses": True})
    courier = Courier(settings, site.service.connection)
    courier.start()
    try:
        wait_until(lambda: site.proxy.has_cut, 30)
        assert site.redis.exists(f"flask-detector:delivery:{id}")
        site.proxy.repair()
        wait_until(lambda: not site.redis.exists(f"flask-detector:delivery:{id}"), 30)
    finally:
        site.proxy.repair()
        courier.stop()
    assert len(received) == 1
