"""A Redis that leads, one that follows, and three sentinels that agree on who leads."""

import contextlib
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from flask_detector.broker.connection import connect
from flask_detector.errors import BrokerUnavailable
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.states import JobStatus
from flask_detector.settings import Settings
from tests.support.ports import Ports
from tests.support.redis_servers import answers, running, settings_of
from tests.support.waiting import wait_until


@pytest.mark.slow
def test_when_the_leading_redis_dies_what_was_queued_is_found_at_its_successor(
    tmp_path: Path,
    start_worker_with: Callable[[Settings], "subprocess.Popen[bytes]"],
    queue_picture: Callable[..., None],
) -> None:
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        first, second, *guards = (ports.new() for _ in range(5))
        secret = {"requirepass": "secret", "masterauth": "secret"}
        leading = stack.enter_context(running(tmp_path / "first", {"port": first, **secret}))
        follow = {"port": second, "replicaof": f"127.0.0.1 {first}"}
        stack.enter_context(running(tmp_path / "second", {**follow, **secret}))
        leader = stack.enter_context(redis.Redis(port=first, password="secret"))
        # Sentinels ask who follows every ten seconds only.
        wait_until(lambda: _followers(leader) == 1, 60)
        watched = (
            f"sentinel monitor pictures 127.0.0.1 {first} 2\nsentinel auth-pass pictures secret\n"
            "sentinel sentinel-pass guard\n"
            "sentinel down-after-milliseconds pictures 1000\nsentinel failover-timeout pictures 5000"
        )
        sentinels = [
            stack.enter_context(
                running(
                    tmp_path / f"sentinel{port}", {"port": port, "requirepass": "guard"}, sentinel=watched
                )
            )
            for port in guards
        ]
        hosts = ",".join(f"127.0.0.1:{port}" for port in guards)
        url = f"redis+sentinel://:secret@{hosts}/pictures/0?sentinel_password=guard"
        wait_until(answers(url), 20)

        def know_each_other() -> bool:
            assert [one.poll() for one in sentinels] == [None, None, None], "a sentinel ended by itself"
            return all(_known_by(port) == (1, 2) for port in guards)

        wait_until(know_each_other, 75)

        settings = settings_of(tmp_path / "data", url, offline=True)
        jobs = Jobs(stack.enter_context(connect(url)), settings)
        picture = PictureInfo("JPEG", "image/jpeg", 64, 48)
        id = new_id()
        queue_picture(jobs, id, "a.jpg", picture)
        worker = start_worker_with(settings)
        wait_until(lambda: jobs.find(id).status.is_final, 60)
        assert (
            jobs.find(id).status is JobStatus.FAILED
        )  # its picture is not there, so it is no worker's fault

        later = new_id()
        assert leader.wait(1, 30_000) == 1, "what the successor was not told yet is lost with the leader"
        leading.kill()

        def is_taken() -> bool:
            with contextlib.suppress(BrokerUnavailable):
                queue_picture(jobs, later, "b.jpg", picture)
                return True
            return False

        wait_until(is_taken, 60)
        assert jobs.find(id).filename == "a.jpg"
        wait_until(lambda: jobs.find(later).status.is_final, 60)
        assert worker.poll() is None


def _followers(leader: redis.Redis) -> int | None:
    """Return how many follow a leader; None while it does not answer."""
    try:
        facts = leader.info("replication")
    except redis.RedisError:
        return None
    assert isinstance(facts, dict)
    return int(facts["connected_slaves"])


def _known_by(port: int) -> tuple[int, int]:
    """Return how many followers and how many other sentinels a sentinel knows."""
    with redis.Redis(port=port, password="guard") as sentinel:
        try:
            (state,) = sentinel.sentinel_masters().values()
        except redis.RedisError:
            return 0, 0
        return state["num-slaves"], state["num-other-sentinels"]
