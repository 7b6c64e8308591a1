import pytest

from flask_detector import broker
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
