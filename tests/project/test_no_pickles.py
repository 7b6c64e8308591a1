"""Nothing in Redis is a pickle, whatever became of a detection: reading one can run anything."""

import io
import json
import signal
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image

from flask_detector.api_keys import Keys, Scope
from flask_detector.imaging import decode
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.web import create_app
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.rq_worker import DetectionWorker


def _values(connection: redis.Redis) -> Iterator[tuple[bytes, bytes]]:
    """Yield every value of every key, however it is kept there."""
    client: Any = connection  # redis-py types answers for every way it can be set up
    readers: dict[bytes, Any] = {
        b"string": lambda key: [client.get(key)],
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: [
            part for _, fields in client.xrange(key) for pair in fields.items() for part in pair
        ],
    }
    for key in client.scan_iter():
        for value in readers[client.type(key)](key):
            yield key, value


def _plain(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def is_pickle(value: bytes) -> bool:
    """Tell whether bytes begin as protocols 2 to 5 do, or as 0 and 1 do for containers and calls."""
    return (value[:1] == b"\x80" and value[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}) or (
        value.endswith(b".") and value[:2] in {b"(d", b"(l", b"(i", b"cc", b"cp", b"co", b"c_", b"}q", b"]q"}
    )


@pytest.fixture
def busy(settings: Settings, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Redis on which detections were done, failed, tried again, cancelled, shared and called back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    settings = settings.model_copy(update={"allow_private_addresses": True})
    client = create_app(settings, connection=connection).test_client()
    file = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(file, "JPEG")
    jpeg = file.getvalue()
    Keys(connection).create("a program", Scope.ADMIN)

    def send(data: bytes, query: str = "") -> str:
        answer = client.post(f"/api/v1/detections{query}", data=data, content_type="image/jpeg")
        assert answer.status_code == 202, answer.text
        id: str = answer.get_json()["id"]
        return id

    load, calls = decode.load, iter([True])

    def fails_once(*arguments: Any, **options: Any) -> Any:
        if next(calls, False):
            raise RuntimeError("a failure of ours, which is tried again")
        return load(*arguments, **options)

    monkeypatch.setattr(decode, "load", fails_once)
    send(jpeg, "?callback_url=http://127.0.0.1:1/")
    send(jpeg[:-40])
    send(jpeg)
    context = WorkerContext.of(settings, connection, open_storage(settings))
    DetectionWorker(context).work(burst=True, logging_level="CRITICAL")
    send(jpeg)
    client.get("/metrics")
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_nothing_in_redis_is_a_pickle(busy: None, connection: redis.Redis) -> None:
    values = list(_values(connection))
    kinds = {key.split(b":")[1] for key, _ in values}
    assert {b"job", b"mark", b"measures", b"key"} <= kinds
    assert len(values) > 100
    assert [(key, value[:40]) for key, value in values if is_pickle(_plain(value))] == []


def test_what_the_queue_keeps_of_a_job_is_json(busy: None, connection: redis.Redis) -> None:
    jobs = [key for key in connection.scan_iter(match="rq:job:*") if connection.type(key) == b"hash"]
    assert len(jobs) == 4
    for key in jobs:
        job: Any = connection.hgetall(key)
        json.loads(_plain(job[b"data"]))
        json.loads(_plain(job.get(b"meta", b"null")))


def test_the_test_knows_pickles() -> None:
    import pickle

    for protocol in range(2, 6):
        assert is_pickle(pickle.dumps({"a": [1]}, protocol))
    assert is_pickle(pickle.dumps({"a": 1}, 0))
    assert is_pickle(_plain(zlib.compress(pickle.dumps([1]))))
    assert not is_pickle(b'{"a": 1}')
