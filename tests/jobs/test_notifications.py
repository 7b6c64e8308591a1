"""Listening to detections, over one connection."""

import threading
import time

import redis

from flask_detector.jobs.notifications import Notifications, channel_of
from flask_detector.jobs.queue import new_id
from tests.support.waiting import wait_until

LONG = 30.0


def listeners(connection: redis.Redis) -> int:
    return len(connection.client_list(_type="pubsub"))


def test_each_is_woken_by_its_own_detection_over_one_connection(connection: redis.Redis) -> None:
    changes, ids, woken = Notifications(connection), [new_id() for _ in range(5)], set()
    ready = threading.Barrier(len(ids) + 1)

    def listen(id: str) -> None:
        with changes.waiting(id) as wait:
            wait(0.1)  # that messages come from now on
            ready.wait(LONG)
            wait(LONG)
            woken.add(id)

    threads = [threading.Thread(target=listen, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    ready.wait(LONG)
    assert listeners(connection) == 1
    for number, id in enumerate(ids):
        connection.publish(channel_of(id), "")
        wait_until(lambda here=number: woken == set(ids[: here + 1]), LONG)  # type: ignore[misc]  # mypy infers no lambda with a default
    for thread in threads:
        thread.join()


def test_after_a_lost_connection_all_are_woken_for_what_they_may_have_missed(connection: redis.Redis) -> None:
    with Notifications(connection).waiting(new_id()) as wait:
        wait(0.1)
        connection.client_kill_filter(_type="pubsub")
        start = time.monotonic()
        wait(LONG)
        assert time.monotonic() - start < LONG
