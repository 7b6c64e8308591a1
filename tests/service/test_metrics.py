"""Counts and durations of several processes add up in Redis, and what can't be sent is not lost."""

import redis

from flask_detector.broker.connection import connect
from flask_detector.service.metrics import (
    MEASURES,
    REQUEST_SECONDS,
    REQUESTS,
    STAGE_SECONDS,
    Reading,
    Tally,
    read,
)


def readings(connection: redis.Redis) -> dict[tuple[str, ...], Reading]:
    return {(reading.measure.name, *reading.labels): reading for reading in read(connection)}


def test_the_counts_of_two_processes_add_up(connection: redis.Redis) -> None:
    for number in (2, 3):
        tally = Tally()
        for _ in range(number):
            tally.add(REQUESTS, "GET", "/", "200")
        tally.send(connection)
    assert readings(connection)[REQUESTS.name, "GET", "/", "200"].total == 5


def test_durations_fall_into_buckets_that_include_their_upper_end(connection: redis.Redis) -> None:
    tally = Tally()
    for seconds in (REQUEST_SECONDS.bounds[0], REQUEST_SECONDS.bounds[0] + 0.001, 1000.0):
        tally.observe(REQUEST_SECONDS, seconds, "GET", "/")
    tally.send(connection)
    reading = readings(connection)[REQUEST_SECONDS.name, "GET", "/"]
    assert reading.buckets[:2] == (1, 1)
    assert reading.buckets[-1] == 1
    assert sum(reading.buckets) == 3
    assert reading.total == sum((0.005, 0.006, 1000.0))


def test_nothing_is_sent_twice_and_nothing_to_send_asks_nothing_of_redis(connection: redis.Redis) -> None:
    tally = Tally()
    tally.add(REQUESTS, "GET", "/", "200")
    tally.send(connection)
    tally.send(connection)
    assert readings(connection)[REQUESTS.name, "GET", "/", "200"].total == 1
    with connect("redis://127.0.0.1:1") as unreachable:
        tally.send(unreachable)


def test_what_redis_does_not_take_goes_with_the_next(connection: redis.Redis) -> None:
    tally = Tally()
    tally.add(REQUESTS, "GET", "/", "200")
    tally.observe(STAGE_SECONDS, 0.5, "a-model", "decode")
    with connect("redis://127.0.0.1:1") as unreachable:
        try:
            tally.send(unreachable)
        except redis.RedisError:
            tally.send(connection)
    found = readings(connection)
    assert found[REQUESTS.name, "GET", "/", "200"].total == 1
    assert found[STAGE_SECONDS.name, "a-model", "decode"].total == 0.5


def test_labels_may_hold_anything(connection: redis.Redis) -> None:
    tally = Tally()
    tally.add(REQUESTS, 'a "model"', "/x|y,z\n", "é")
    tally.send(connection)
    assert (REQUESTS.name, 'a "model"', "/x|y,z\n", "é") in readings(connection)


def test_what_another_version_counted_by_other_labels_is_left_out(connection: redis.Redis) -> None:
    connection.hset("flask-detector:measures", '["detector_http_requests", "GET"]', 7)
    connection.hset("flask-detector:measures", '["detector_forgotten", "GET"]', 7)
    assert readings(connection) == {}


def test_each_measure_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert all(measure.help.endswith(".") and measure.name.startswith("detector_") for measure in MEASURES)
