import hashlib
from collections.abc import Callable

import pytest
import redis

from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from flask_detector.errors import BrokerUnavailable, UnknownKey


@pytest.fixture
def keys(connection: redis.Redis) -> Keys:
    return Keys(connection)


def test_a_key_opens_what_it_was_made_for(keys: Keys) -> None:
    key, text = keys.create("the shop", Scope.ADMIN)
    found = keys.check(text)
    assert (found.id, found.name, found.scope, found.owner) == (key.id, "the shop", "admin", f"key:{key.id}")


def test_a_key_holds_256_random_bits_and_only_its_hash_is_kept(keys: Keys, connection: redis.Redis) -> None:
    key, text = keys.create("a")
    assert len(text.rpartition(f"{key.id}_")[2]) == 43  # 32 bytes in base64
    kept = str([connection.hgetall(name) for name in connection.scan_iter("flask-detector:key:*")])
    assert hashlib.sha256(text.encode()).hexdigest() in kept
    assert text not in kept


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "", lambda t: t + "x"]
)
def test_a_text_that_is_not_quite_a_key_opens_nothing(keys: Keys, change: Callable[[str], str]) -> None:
    _, text = keys.create("a")
    with pytest.raises(UnknownKey):
        keys.check(change(text))


def test_the_secret_of_one_key_does_not_open_another(keys: Keys) -> None:
    first, text = keys.create("a")
    second, _ = keys.create("b")
    with pytest.raises(UnknownKey):
        keys.check(text.replace(first.id, second.id))


def test_a_revoked_key_opens_nothing_at_once(keys: Keys) -> None:
    key, text = keys.create("a")
    keys.check(text)
    keys.revoke(key.id)
    with pytest.raises(UnknownKey):
        keys.check(text)
    assert keys.list() == []
    with pytest.raises(UnknownKey):
        keys.revoke(key.id)


def test_keys_are_listed_with_when_they_were_last_used(keys: Keys) -> None:
    first, _ = keys.create("a")
    second, text = keys.create("b")
    keys.check(text)
    listed = keys.list()
    assert [key.id for key in listed] == [first.id, second.id]
    assert listed[0].last_used_at is None
    assert listed[1].last_used_at is not None


def test_each_key_signs_its_webhooks_with_a_secret_of_its_own(keys: Keys) -> None:
    ids = [keys.create("a")[0].id, keys.create("b")[0].id, None]
    secrets = [keys.webhook_secret(id) for id in ids]
    assert len(set(secrets)) == 3
    assert [keys.webhook_secret(id) for id in ids] == secrets


def test_a_redis_that_is_gone_is_its_own_error() -> None:
    with connect("redis://127.0.0.1:1") as nowhere, pytest.raises(BrokerUnavailable):
        Keys(nowhere).create("a")
