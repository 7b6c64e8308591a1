"""Redis's log after power cuts and faulty disks: mended, or told how to mend it."""

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_detector.broker import connection as broker
from flask_detector.broker import local_server
from flask_detector.errors import BrokerUnavailable

VALUE = "v" * 10_000
COUNT = 300


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that wrote three megabytes."""
    folder = tmp_path_factory.mktemp("written") / "a folder"
    server, process = start(folder)
    with broker.connect(server.url) as connection:
        for number in range(COUNT):
            connection.set(f"key:{number}", VALUE)
    process.terminate()
    process.wait(10)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "a folder")


def start(folder: Path) -> "tuple[local_server.LocalRedis, subprocess.Popen[bytes]]":
    server = local_server.LocalRedis(folder)
    process = subprocess.Popen(server.command())
    server.wait_until_ready(process)
    return server, process


def keys_of(folder: Path) -> int:
    server, process = start(folder)
    with broker.connect(server.url) as connection:
        count: int = connection.dbsize()
    process.kill()
    process.wait(10)
    return count


def log_of(folder: Path) -> Path:
    (path,) = folder.glob("appendonlydir/*.incr.aof")
    return path


def break_log(folder: Path, change: Callable[[bytes], bytes]) -> local_server.LocalRedis:
    """Change what is in the log; return the server, which has tried to start since."""
    path = log_of(folder)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BrokerUnavailable):
        start(folder)
    return local_server.LocalRedis(folder)


def test_half_a_command_at_the_end_is_left_out(folder: Path) -> None:
    path = log_of(folder)
    path.write_bytes(path.read_bytes()[:-40])
    assert keys_of(folder) == COUNT - 1


@pytest.mark.parametrize("end", [b"\0" * 5000, b"garbage" * 9, b"*2\r\n+no bulk\r\n" * 9])
def test_an_end_that_can_not_be_read_is_cut_off_and_kept(
    folder: Path, end: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = break_log(folder, lambda log: log + end)
    assert server.mend()
    assert keys_of(folder) == COUNT
    (kept,) = folder.glob("appendonlydir/*.cut-off-*")
    assert kept.read_bytes() in end
    assert kept.stat().st_size > 0
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert str(kept) in caplog.text


def test_what_is_broken_in_the_middle_is_not_cut_off_unasked_and_the_command_that_does_it_is_told(
    folder: Path,
) -> None:
    whole = log_of(folder).read_bytes()
    middle = whole.index(b"*3\r\n", 1_000_000)
    server = break_log(folder, lambda log: log[:middle] + b"\0" * 4 + log[middle + 4 :])
    broken = log_of(folder).read_bytes()
    with pytest.raises(BrokerUnavailable, match=str(middle)) as raised:
        server.mend()
    assert log_of(folder).read_bytes() == broken
    command = raised.value.hint.partition(": ")[2]
    subprocess.run(["sh", "-c", command], input=b"y\n", check=True, capture_output=True)
    assert 90 < keys_of(folder) < 110
    (kept,) = folder.glob("appendonlydir/*.broken")
    assert kept.read_bytes() == broken


def test_what_is_no_broken_log_is_not_touched(folder: Path) -> None:
    keys_of(folder)
    before = log_of(folder).read_bytes()
    assert not local_server.LocalRedis(folder).mend()
    assert log_of(folder).read_bytes() == before
