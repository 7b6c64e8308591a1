"""Disks that run full, each a small one of its own: of the pictures, of Redis, of temporary files."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import redis
from PIL import Image

from tests.support.disks import SmallDisks
from tests.support.installation import Answer, Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_JSON = "application/json"


@dataclass(frozen=True)
class Place:
    """An installation with three small disks."""

    installation: Installation
    disks: SmallDisks
    pictures: Path
    redis: Path
    temporary: Path


@pytest.fixture(scope="module")
def lasting_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    pictures, log, temporary = folder / "data" / "pictures", folder / "log", folder / "temporary"
    disks = SmallDisks(pictures, log, temporary, megabytes=16)
    installation = Installation(
        folder, within=disks.within, redis_options=["--dir", str(log)], TMPDIR=str(temporary)
    )
    installation.pictures = disks.seen(pictures)
    try:
        installation.start_redis()
        installation.start_web()
        yield Place(installation, disks, pictures, log, temporary)
    finally:
        installation.close()
        disks.close()


@pytest.fixture
def place(lasting_place: Place) -> Place:
    lasting_place.installation.start_afresh()
    return lasting_place


def test_while_the_disk_of_the_pictures_is_full_uploads_are_refused_and_nothing_is_lost(
    place: Place, recovered: Recovered
) -> None:
    installation = place.installation
    worker = installation.start_worker()
    installation.wait_for_workers(1)
    flight = installation.in_flight()
    wait_until(lambda: len(list(installation.pictures.glob("??/*"))) > 20, 60)
    place.disks.fill(place.pictures)
    refused = installation.send(picture())
    assert refused.status == 503
    assert refused.form["error"]["code"] == "storage_unavailable"
    assert "full" in refused.form["error"]["hint"]
    assert int(refused.headers["Retry-After"]) > 0
    # To detect what is in the queue takes no room on that disk, nor does it to look at a result.
    wait_until(lambda: _done(installation) > 0 and installation.jobs.count() == 0, 60)
    (id,) = cast(list[bytes], installation.connection.zrange("rq:finished:detections", 0, 0))
    for path in ("image", "drawn.jpg"):
        assert installation.ask("GET", f"/api/v1/detections/{id.decode()}/{path}").status == 200
    flight.wait_until_refused(20)
    place.disks.free(place.pictures)
    start = time.monotonic()
    done = _done(installation)
    wait_until(lambda: _done(installation) > done, 60)
    recovered("disk of the pictures full: next result after there is room", time.monotonic() - start)
    ids = flight.land()
    assert installation.outcomes(ids) == {"done": 100}
    assert {path.name for path in installation.pictures.glob("??/*")} == set(ids), (
        "of what was refused nothing is kept"
    )
    assert worker.poll() is None


def test_while_the_disk_of_redis_is_full_uploads_are_refused_and_nothing_is_lost(
    place: Place, recovered: Recovered
) -> None:
    installation = place.installation
    ids = installation.send_many(100, comment="wait 0.1")
    workers = [installation.start_faulty_worker() for _ in range(2)]
    wait_until(lambda: _done(installation) > 5, 60)
    flight = installation.in_flight()
    place.disks.fill(place.redis)
    flight.wait_until_refused(20)
    assert installation.connection.info("persistence")["aof_last_write_status"] == "err"
    refused = installation.send(picture())
    assert refused.status == 503
    assert refused.form["error"]["code"] == "broker_unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    assert installation.ask("GET", f"/api/v1/detections/{ids[0]}").status in {200, 503}
    assert installation.ask("GET", "/healthz").status == 200
    place.disks.free(place.redis)
    start, done = time.monotonic(), _done(installation)
    wait_until(lambda: _done(installation) > done, 60)
    recovered("disk of Redis full: next result after there is room", time.monotonic() - start)
    ids += flight.land()
    assert [worker.poll() for worker in workers] == [None, None]
    # Its log is whole: what was accepted before and after is still there when it is started from that alone.
    installation.stop_redis()
    installation.start_redis()
    assert installation.outcomes(ids) == {"done": 200}


def test_while_there_is_no_room_for_temporary_files_only_large_uploads_are_refused(
    place: Place, recovered: Recovered
) -> None:
    installation = place.installation
    large = _noise(1600, 1200)
    waiting = installation.send_until_accepted(_noise(3000, 2000))  # a worker decodes it into a file
    flight = installation.in_flight()
    wait_until(lambda: len(list(installation.pictures.glob("??/*"))) > 20, 60)
    place.disks.fill(place.temporary)
    installation.start_worker()
    for answer in (installation.send(large), _send_form(installation, large)):
        assert answer.status == 503
        assert answer.form["error"]["code"] == "storage_unavailable"
        assert "temporary files" in answer.form["error"]["hint"]
        assert int(answer.headers["Retry-After"]) > 0
    ids = [waiting, *flight.land()]
    assert installation.wait_for(waiting).status == "done"
    assert flight.refusals == {}, "small ones need no file"
    place.disks.free(place.temporary)
    start = time.monotonic()
    ids.append(installation.send_until_accepted(large))
    recovered("no room for temporary files: next large upload accepted", time.monotonic() - start)
    answer = _send_form(installation, large)
    assert answer.status == 202
    assert installation.outcomes([*ids, answer.form["id"]]) == {"done": 103}
    assert list(place.disks.seen(place.temporary).glob("tmp*")) == []


def test_corrections_are_refused_while_a_disk_is_full_and_the_version_before_stays(place: Place) -> None:
    installation = place.installation
    installation.start_worker()
    detection = f"/api/v1/detections/{installation.send_until_accepted(picture())}/annotations"
    wait_until(lambda: _done(installation) > 0, 60)
    made = installation.ask("POST", "/api/v1/collections", b'{"name": "Birds"}', kind=_JSON)
    collection = f"/api/v1/collections/{made.form['id']}"
    added = _send_form(installation, picture(), f"{collection}/pictures")
    (id,) = added.form["pictures"]
    _is_safe(place, detection, place.redis, "broker_unavailable")
    _is_safe(place, f"{collection}/pictures/{id}/annotations", place.pictures, "storage_unavailable")


def _is_safe(place: Place, path: str, disk: Path, code: str) -> None:
    """Save a correction while a disk is full, and again when there is room."""
    installation = place.installation
    before = installation.ask("GET", path)
    objects = [{"id": "a", "label": "cat", "box": [1, 2, 30, 40]}]
    change = json.dumps({**before.form, "objects": objects}).encode()
    save = partial(installation.ask, "PUT", path, change, kind=_JSON, version=before.headers["ETag"])
    place.disks.fill(disk)
    if disk == place.redis:
        wait_until(lambda: not _takes_writes(installation), 20)
    refused = save()
    assert (refused.status, refused.form["error"]["code"]) == (503, code)
    assert int(refused.headers["Retry-After"]) > 0
    place.disks.free(disk)
    wait_until(lambda: save().status == 200, 20)  # it still replaces the version before
    assert [one["label"] for one in installation.ask("GET", path).form["objects"]] == ["cat"]


def _takes_writes(installation: Installation) -> bool:
    """Return whether Redis writes: of its disk it learns when it tries to."""
    with suppress(redis.RedisError):
        return bool(installation.connection.set("a-write", "1"))
    return False


def _done(installation: Installation) -> int:
    return int(installation.connection.zcard("rq:finished:detections"))


def _noise(width: int, height: int) -> bytes:
    """Return a picture of some megabytes."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def _send_form(installation: Installation, data: bytes, path: str = "/api/v1/detections") -> Answer:
    """Send a picture as a browser's form does."""
    boundary = "----boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return installation.ask("POST", path, body, accept="application/json", kind=kind)
