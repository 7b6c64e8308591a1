"""What versions before this one left on Redis is worked off, shown and ended by this one.

Each file is named after what that version did not have, and holds the keys of three detections as it wrote
them: one is done, another machine's worker had one in hand, and one waits. ``{key: [type, value]}``, bytes as
Latin-1.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.states import TRIES, JobStatus
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.maintenance import Maintenance

RECORDED = sorted(Path(__file__).with_name("older_records").glob("*.json"))
DONE, RUNNING, QUEUED = "d" * 32, "1" * 32, "2" * 32


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_what_an_older_version_left_is_worked_off(
    recorded: Path, connection: redis.Redis, settings: Settings
) -> None:
    for key, (kind, value) in json.loads(recorded.read_text()).items():
        restore(connection, key, kind, value)
    context = WorkerContext.of(settings, connection, open_storage(settings))
    jobs: Jobs = context.jobs
    statuses = [jobs.find(id).status for id in (DONE, RUNNING, QUEUED)]
    assert statuses == [JobStatus.DONE, JobStatus.RUNNING, JobStatus.QUEUED]
    assert jobs.result(DONE)[0].model == "nanodet-g"

    attempts = Attempts(jobs.queue, worker="new", location="here")
    maintenance = Maintenance(context, attempts)
    maintenance.run()  # it was not heard of once, and has to be so twice
    maintenance.run()
    assert [jobs.find(id).position for id in (RUNNING, QUEUED)] == [0, 1]

    for id in (RUNNING, QUEUED):
        attempt = attempts.take()
        assert attempt is not None
        assert attempt.job.id == id
        assert (attempt.job.kwargs or {})["model"] == "auto"
        assert attempt.job.retries_left == (TRIES - 2 if id == RUNNING else TRIES - 1)
        assert attempts.finish(attempt, jobs.result_form(DONE))
        assert jobs.find(id).status is JobStatus.DONE
    assert not list(connection.scan_iter("flask-detector:share:*"))
    assert not list(connection.scan_iter("rq:wip:*"))


def restore(connection: redis.Redis, key: str, kind: str, value: Any) -> None:
    def raw(text: str) -> bytes:
        return text.encode("latin-1")

    match kind:
        case "string":
            connection.set(key, raw(value))
        case "hash":
            connection.hset(key, mapping={raw(name): raw(text) for name, text in value.items()})
        case "list":
            connection.rpush(key, *map(raw, value))
        case "set":
            connection.sadd(key, *map(raw, value))
        case "zset":
            connection.zadd(key, {raw(member): score for member, score in value.items()})
        case "stream":
            for id, fields in value:
                connection.xadd(key, {raw(name): raw(text) for name, text in fields.items()}, id=id)
