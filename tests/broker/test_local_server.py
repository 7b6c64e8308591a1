import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from flask_detector.broker import connection as broker
from flask_detector.broker import local_server
from flask_detector.errors import BrokerUnavailable

WORST_NAME = "a b#c?d=e%20é写'\"\\[0]"


@contextmanager
def running(server: local_server.LocalRedis) -> Iterator[None]:
    process = subprocess.Popen(server.command(), umask=local_server.UMASK)
    try:
        server.wait_until_ready(process)
        yield
    finally:
        process.kill()
        process.wait(10)


def test_a_server_of_our_own_answers_and_keeps_its_data(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        server = local_server.LocalRedis(tmp_path)
        process = subprocess.Popen(server.command())
        server.wait_until_ready(process)
        with broker.connect(server.url) as connection:
            assert connection.get("key") == expected
            connection.set("key", "kept")
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(("sync", "expected"), [(False, "everysec"), (True, "always")])
def test_each_change_is_on_the_disk_within_a_second_or_before_its_answer(
    tmp_path: Path, sync: bool, expected: str
) -> None:
    server = local_server.LocalRedis(tmp_path, sync=sync)
    with running(server), broker.connect(server.url) as connection:
        assert connection.config_get("appendfsync") == {"appendfsync": expected}


def test_what_it_writes_is_its_owner_s_alone_also_what_was_there_before(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    (folder / "appendonlydir").mkdir(parents=True)
    old = folder / "redis.log"
    old.touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(0o755)
    (folder / "link").symlink_to(elsewhere)
    for path, mode in ((folder, 0o755), (folder / "appendonlydir", 0o755), (old, 0o644)):
        path.chmod(mode)
    server = local_server.LocalRedis(folder)
    with running(server):
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert modes.pop(folder / "redis.sock") == 0o700
    assert modes.pop(folder / "link") == 0o755
    assert len(modes) >= 6
    assert {mode for path, mode in modes.items() if path.suffix} == {0o600}
    assert {mode for path, mode in modes.items() if not path.suffix} == {0o700}


@pytest.mark.parametrize(
    "name",
    [
        WORST_NAME,
        "a" * 120,
        "写" * 60,
        b"no UTF-8: \xff".decode(errors="surrogateescape"),
        "two\nlines",
        "100%25",
    ],
    ids=ascii,
)
def test_folders_may_be_called_as_people_call_them(tmp_path: Path, name: str) -> None:
    server = local_server.LocalRedis(tmp_path / name)
    with running(server), broker.connect(server.url) as connection:
        broker.check(connection)
        assert connection.client_info()["addr"]  # some servers tell its beginning alone
        # Another process that is to find it, such as `flask-detector keys`.
        assert local_server.LocalRedis(tmp_path / name).url == server.url
    server.remove_socket_folder()


def test_a_socket_that_fits_nowhere_else_is_in_tmp_and_leaves_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("a" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    server = local_server.LocalRedis(long / "redis")
    with running(server):
        socket = Path(unquote(server.url.removeprefix("unix://")))
        assert socket.is_relative_to("/tmp")
        assert socket.is_socket()
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    server.remove_socket_folder()
    assert not socket.parent.exists()


def test_the_socket_folder_of_a_server_that_was_killed_is_removed_by_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)
    server = local_server.LocalRedis(folder)
    with running(server):
        first = Path(unquote(server.url.removeprefix("unix://")))
    next_one = local_server.LocalRedis(folder)
    with running(next_one):
        assert not first.parent.exists()
    next_one.remove_socket_folder()


def test_data_of_a_server_that_is_too_new_are_told_with_their_writer(tmp_path: Path) -> None:
    log = tmp_path / "appendonlydir"
    log.mkdir()
    (log / "appendonly.aof.1.base.rdb").write_bytes(
        b"REDIS0099\xfa\tredis-ver\x0299.1.2\xfa\nredis-bits\xc0@"
    )
    (log / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    server = local_server.LocalRedis(tmp_path)
    process = subprocess.Popen(server.command())
    with pytest.raises(BrokerUnavailable, match=r"written by Redis 99\.1") as raised:
        server.wait_until_ready(process)
    assert "Install Redis 99.1 or newer" in raised.value.hint


def test_what_redis_6_2_wrote_into_its_single_file_is_kept(tmp_path: Path) -> None:
    """As the server did that came with the package before: rewritten once, and gone on after it."""
    (tmp_path / "appendonly.aof").write_bytes(
        b"REDIS0009\xfa\tredis-ver\x066.2.14\xfa\nredis-bits\xc0@\xfa\x05ctime\xc2PL\x0bk\xfa\x08used-mem\xc2`P"
        b"\x0e\x00\xfa\x0caof-preamble\xc0\x01\xfe\x00\xfb\x01\x00\x00\x08finished\x12before the rewrite\xff"
        b"\xe2\x18\x03\xec=\x1c3\xe9*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$5\r\nRPUSH\r\n$7\r\nwaiting\r\n$8\r\n"
        b"after it\r\n"
    )
    server = local_server.LocalRedis(tmp_path)
    for _ in range(2):
        with running(server), broker.connect(server.url) as connection:
            assert connection.get("finished") == b"before the rewrite"
            assert connection.lrange("waiting", 0, -1) == [b"after it"]


def test_a_server_s_last_words_are_told(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way")
    server = local_server.LocalRedis(tmp_path)
    process = subprocess.Popen(server.command())
    with pytest.raises(BrokerUnavailable) as raised:
        server.wait_until_ready(process)
    assert "append-only" in raised.value.hint
    assert str(tmp_path / "redis.log") in raised.value.hint


def test_a_server_that_ends_at_once_is_reported(tmp_path: Path) -> None:
    server = local_server.LocalRedis(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", ""])
    with pytest.raises(BrokerUnavailable, match="does not respond"):
        server.wait_until_ready(process)
