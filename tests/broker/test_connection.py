import pytest
import redis

from flask_detector.broker import connection as broker
from flask_detector.broker.connection import may_pass, persevere
from flask_detector.errors import BrokerUnavailable, SettingsError


def test_an_address_that_is_no_redis_url_is_refused() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        broker.connect("localhost:6379")


def test_a_redis_that_does_not_answer_is_reported() -> None:
    with (
        broker.connect("redis://127.0.0.1:1") as connection,
        pytest.raises(BrokerUnavailable, match="REDIS_URL"),
    ):
        broker.check(connection)


def in_a_script_of_6_2(refusal: str) -> redis.ResponseError:
    """Return what Redis up to 6.2 makes of a refusal that a script meets."""
    return redis.ResponseError(
        f"Error running script (call to f_3fe551b6): @user_script:1: @user_script: 1: {refusal}"
    )


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (redis.ConnectionError("refused"), True),
        (redis.TimeoutError("silent"), True),
        (redis.exceptions.OutOfMemoryError("command not allowed"), True),
        (redis.ReadOnlyError("a replica"), True),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (redis.ResponseError("Command # 1 (LREM a 1 b) of pipeline caused error: MISCONF Redis is"), True),
        (redis.AuthenticationError("wrong password"), False),
        (in_a_script_of_6_2("-OOM command not allowed when used memory > 'maxmemory'."), True),
        (in_a_script_of_6_2("-READONLY You can't write against a read only replica."), True),
        (in_a_script_of_6_2("-WRONGTYPE Operation against a key"), False),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
    ],
)
def test_errors_that_pass_by_themselves_are_told_from_those_that_do_not(
    error: redis.RedisError, passes: bool
) -> None:
    assert may_pass(error) is passes


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), True),
        (in_a_script_of_6_2("-OOM command not allowed when used memory > 'maxmemory'."), True),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), False),
        (redis.ResponseError("a ROOM of OOMPH"), False),
    ],
)
def test_a_full_redis_is_told_from_others_however_it_words_it(error: redis.RedisError, full: bool) -> None:
    assert broker.is_full(error) is full


def test_what_is_persevered_with_ends_well_or_when_it_is_over() -> None:
    answers: list[redis.RedisError | None] = [redis.ConnectionError("away"), redis.TimeoutError("slow"), None]

    def act() -> str:
        error = answers.pop(0)
        if error is not None:
            raise error
        return "done"

    assert persevere(act, is_over=lambda: False) == "done"
    answers.append(redis.ConnectionError("away"))
    with pytest.raises(redis.ConnectionError):
        persevere(act, is_over=lambda: True)
