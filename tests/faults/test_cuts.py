"""The way to Redis is cut after each command in turn: a repetition finds nothing or the whole."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from rq.job import Job
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse

from flask_detector.api_keys import Key, Keys
from flask_detector.broker.connection import connect
from flask_detector.errors import BrokerUnavailable, UnknownKey
from flask_detector.jobs.admission import share_of
from flask_detector.jobs.collections import Shelf
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import JobStatus
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from flask_detector.worker.detect_task import Workplace
from flask_detector.worker.maintenance import Upkeep

from .cutting_proxy import CuttingProxy
from .installation import picture

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
        for id in self.pictures():
            self.service.storage.delete(id)
        self.redis.flushall()
        self.redis.script_flush()
        self.service.connection.connection_pool.disconnect()
        self.key, text = Keys(self.redis).create("a")
        self.client, self.headers = self.app.test_client(), {"X-API-Key": text}

    @property
    def service(self) -> Service:
        found: Service = self.app.extensions["flask-detector"]
        return found

    def jobs(self) -> list[str]:
        """Return the ids of all records."""
        return sorted(key.decode().rpartition(":")[2] for key in self.redis.scan_iter("rq:job:" + "?" * 32))

    def pictures(self) -> list[str]:
        """Return the ids under which pictures are stored."""
        return sorted(one.name for one in (self.settings.data_dir / "pictures").glob("??/*"))

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
            batch = Shelf(self.redis, 1).batch(key.decode().rpartition(":")[2])
            assert set(batch.detections) <= set(jobs)

    def sweep(self) -> None:
        """Let time pass and workers do their upkeep; records stay."""
        for path in (self.settings.data_dir / "pictures").glob("??/*"):
            os.utime(path, (0, 0))
        workplace = Workplace(self.settings, self.redis, self.service.storage)
        Upkeep(workplace, None)._sweep()  # type: ignore[arg-type]
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
WAYS = [
    pytest.param(Way(loses_answer=True, lasts=True), id="for a while, with the answer"),
    pytest.param(Way(loses_answer=False, lasts=True), id="for a while", marks=pytest.mark.slow),
    pytest.param(Way(loses_answer=True, lasts=False), id="once, with the answer", marks=pytest.mark.slow),
    pytest.param(Way(loses_answer=False, lasts=False), id="once", marks=pytest.mark.slow),
]


def at_each_command(site: Site, way: Way, prepare: Callable[[], T], act: Callable[[T], int]) -> Iterator[T]:
    """Cut at each command of an act in turn, until one is not reached; yield what was prepared, mended again.

    The act returns a status, and is done a second time by the test. Where only one connection is cut once,
    nobody sees that.
    """
    for number in range(MOST_COMMANDS):
        site.begin()
        prepared = prepare()
        site.proxy.cut(lambda at, _, number=number: at == number, **asdict(way))  # type: ignore[misc]
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
        assert sorted(Shelf(site.redis, 1).batch(id_of(again)).detections) == site.jobs()
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
