import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from flask_detector.api_keys import Keys
from flask_detector.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run(connection: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a command on the Redis of the tests."""
    monkeypatch.setenv("REDIS_URL", redis_url)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["keys", *words])

    return run


def test_a_key_is_shown_once_and_works(run: Run, connection: redis.Redis) -> None:
    made = run("create", "--name", "the shop", "--admin")
    assert made.exit_code == 0
    text = made.stdout.strip()
    assert Keys(connection).check(text).scope == "admin"
    listed = run("list")
    assert "the shop" in listed.stdout
    assert text not in listed.output


def test_the_list_can_be_read_by_programs(run: Run) -> None:
    run("create", "--name", "a")
    (key,) = json.loads(run("list", "--json").stdout)
    assert (key["name"], key["scope"], key["last_used_at"]) == ("a", "use", None)


def test_a_key_is_revoked_by_its_id(run: Run, connection: redis.Redis) -> None:
    run("create")
    (key,) = Keys(connection).list()
    assert run("revoke", key.id).exit_code == 0
    assert Keys(connection).list() == []
    again = run("revoke", key.id)
    assert again.exit_code == 1
    assert "keys list" in again.output


def test_the_secret_of_webhooks_can_be_shown_again(run: Run, connection: redis.Redis) -> None:
    key, _ = Keys(connection).create("a")
    assert run("webhook-secret", key.id).stdout.strip() == Keys(connection).webhook_secret(key.id)
    assert run("webhook-secret").stdout.strip() == Keys(connection).webhook_secret(None)


def test_without_a_running_redis_it_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    failed = run("list")
    assert failed.exit_code == 1
    assert "Redis can't be reached" in failed.output


def test_where_nothing_runs_it_says_what_to_start(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("DETECTOR_DATA_DIR", str(tmp_path))
    failed = run("list")
    assert failed.exit_code == 1
    assert "flask-detector serve" in failed.output


def test_help_needs_no_redis(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert "--admin" in run("create", "--help").output
