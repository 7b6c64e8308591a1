"""What is left of a container's memory, and who may take much of it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flask_detector.errors import ServiceError, TooManyPixels
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.process import available_memory

MB = 1 << 20
SPARE = available_memory._SPARE_BYTES


def system(folder: Path, *, groups: str, available_mb: int = 10_000) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_mb * 1024} kB\n")
    (folder / "proc/self/cgroup").write_text(groups)
    return folder


def group_v2(folder: Path, limit: str, used_mb: int, idle_mb: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used_mb * MB}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {idle_mb * MB}\n")


def group_v1(folder: Path, limit: int, used_mb: int, idle_mb: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used_mb * MB}\n")
    (folder / "memory.stat").write_text(f"inactive_file 0\ntotal_inactive_file {idle_mb * MB}\n")


def test_without_a_container_the_machine_counts(tmp_path: Path) -> None:
    here = system(tmp_path, groups="0::/\n", available_mb=700)
    assert available_memory.available(here) == 700 * MB - SPARE


def test_a_container_s_own_limit_counts(tmp_path: Path) -> None:
    here = system(tmp_path, groups="0::/\n")
    group_v2(here / "sys/fs/cgroup", str(512 * MB), 200, idle_mb=50)
    assert available_memory.available(here) == 362 * MB - SPARE


def test_a_limit_of_none_is_none(tmp_path: Path) -> None:
    here = system(tmp_path, groups="0::/a\n", available_mb=900)
    group_v2(here / "sys/fs/cgroup/a", "max", 200)
    assert available_memory.available(here) == 900 * MB - SPARE


def test_the_narrowest_of_nested_limits_counts(tmp_path: Path) -> None:
    here = system(tmp_path, groups="0::/pod/container\n")
    group_v2(here / "sys/fs/cgroup/pod", str(600 * MB), 500)
    group_v2(here / "sys/fs/cgroup/pod/container", str(512 * MB), 100)
    assert available_memory.available(here) == 100 * MB - SPARE


def test_the_older_kind_of_control_group_counts_too(tmp_path: Path) -> None:
    here = system(tmp_path, groups="5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n")
    # A container sees its group as the topmost one, and not under its path.
    group_v1(here / "sys/fs/cgroup/memory", 512 * MB, 100, idle_mb=30)
    assert available_memory.available(here) == 442 * MB - SPARE
    group_v1(here / "sys/fs/cgroup/memory/docker/abc", 9223372036854771712, 100)
    assert available_memory.available(here) == 442 * MB - SPARE


def test_less_than_nothing_is_nothing(tmp_path: Path) -> None:
    here = system(tmp_path, groups="0::/\n")
    group_v2(here / "sys/fs/cgroup", str(100 * MB), 99)
    assert available_memory.available(here) == 0


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert available_memory.available(tmp_path) is None


def test_little_is_taken_by_many_at_once_and_much_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 800 * MB)
    with available_memory.reserved(100 * MB, patience=0), available_memory.reserved(100 * MB, patience=0):
        pass
    with available_memory.reserved(500 * MB, patience=0):
        assert _refused_in_another_thread()
    assert not _refused_in_another_thread()


def _refused_in_another_thread() -> bool:
    refused = []

    def take() -> None:
        try:
            with available_memory.reserved(500 * MB, patience=0.1):
                pass
        except available_memory.MemoryBusy:
            refused.append(True)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(refused)


def test_another_process_waits_too_and_one_that_dies_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 800 * MB)
    script = """
import sys
from flask_detector.process import available_memory
available_memory.available = lambda: 800 << 20
with available_memory.reserved(500 << 20, patience=5):
    print("taken", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        with pytest.raises(available_memory.MemoryBusy), available_memory.reserved(500 * MB, patience=0.1):
            pass
        other.kill()
        other.wait(10)
        with available_memory.reserved(500 * MB, patience=5):
            pass


def test_more_than_there_is_is_told_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 300 * 1_000_000)
    monkeypatch.setattr(decode, "decoding_bytes", lambda image, data: 480_000_000)
    with pytest.raises(TooManyPixels, match=r"about 480 MB of memory; 300 are left here") as refused:
        decode.load(_gif(), Limits(1000, 1000))
    assert "JPEG" in refused.value.hint


def test_who_waits_in_vain_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 800 * MB)
    monkeypatch.setattr(decode, "decoding_bytes", lambda image, data: 480_000_000)
    with available_memory.reserved(500 * MB, patience=0), pytest.raises(ServiceError) as refused:
        decode.load(_gif(), Limits(1000, 1000), patience=0.1)
    assert refused.value.retry_after


def _gif() -> bytes:
    return bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")


def test_the_limit_of_a_process_s_addresses_counts() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2);"
        "from flask_detector.process.available_memory import available; print(available())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert 0 < int(answer.stdout) < 1 << 30
