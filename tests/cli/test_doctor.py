"""The doctor says of each part of an installation how it is and what to do."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from flask_detector.service.doctor import CHECKS, examine
from flask_detector.service.doctor.finding import Finding, Level
from flask_detector.settings import Settings
from tests.support.ports import free_port
from tests.support.stack import Stack, environment_of

Environment = Callable[[Settings], dict[str, str]]


def findings(settings: Settings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for what, finding in examine(settings):
        found.setdefault(what, []).append(finding)
    return found


def run(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flask_detector", "doctor", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def sound(settings: Settings, connection: redis.Redis) -> Settings:
    return settings.model_copy(update={"port": free_port()})


def test_a_sound_installation_has_nothing_in_the_way(sound: Settings) -> None:
    found = findings(sound)
    assert set(found) == set(CHECKS) - {"temporary files"}  # that has nothing to say where all is well
    assert [f for part in found.values() for f in part if f.level is Level.PROBLEM] == []
    assert "nanodet-g" in found["detection"][0].message


def test_a_redis_that_may_lose_its_last_second_is_told_where_nothing_may_be_lost(
    sound: Settings, connection: redis.Redis
) -> None:
    def told(settings: Settings) -> bool:
        return any("power cut" in finding.message for finding in findings(settings)["redis"])

    strict = sound.model_copy(update={"sync_writes": True})
    assert [told(sound), told(strict)] == [False, True]
    connection.config_set("appendfsync", "always")
    try:
        assert not told(strict)
    finally:
        connection.config_set("appendfsync", "everysec")


def test_every_finding_that_is_not_as_it_should_be_says_what_to_do(sound: Settings) -> None:
    changes = {"host": "0.0.0.0", "metrics": "open", "model": "mask-rcnn-r50-fpn", "mirror_url": "http://a/"}
    found = findings(sound.model_copy(update=changes))
    amiss = [f for part in found.values() for f in part if f.level is not Level.OK]
    assert len(amiss) >= 6
    assert [f for f in amiss if not f.hint] == []
    assert any(f.level is Level.PROBLEM and "DETECTOR_MODEL" in f.message for f in found["models"])
    assert len(found["settings"]) == 4


def test_an_unreachable_redis_is_a_problem_and_the_rest_is_looked_at(sound: Settings) -> None:
    found = findings(sound.model_copy(update={"redis_url": "redis://127.0.0.1:1"}))
    assert found["redis"][0].level is Level.PROBLEM
    assert found["web"][0].level is Level.OK


def test_a_redis_that_may_forget_is_a_problem(sound: Settings, connection: redis.Redis) -> None:
    connection.config_set("maxmemory-policy", "allkeys-lru")
    try:
        messages = [f.message for f in findings(sound)["redis"] if f.level is Level.PROBLEM]
    finally:
        connection.config_set("maxmemory-policy", "noeviction")
    assert messages == ["Redis may evict records when its memory is full (allkeys-lru)."]


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"maxmemory": "1"}, "memory is full"),
        ({"min-replicas-to-write": "1"}, "accepts no writes: NOREPLICAS"),
        ({"replicaof": "127.0.0.1 1"}, "is a replica"),
    ],
)
def test_a_redis_that_can_not_be_written_to_is_a_problem(
    sound: Settings, connection: redis.Redis, configuration: dict[str, str], words: str
) -> None:
    normal = {"maxmemory": "0", "min-replicas-to-write": "0", "replicaof": "no one"}

    def configure(values: dict[str, str]) -> None:
        for name, value in values.items():
            if name == "replicaof":
                connection.replicaof(*value.split())
            else:
                connection.config_set(name, value)

    configure(configuration)
    try:
        (problem,) = [f for f in findings(sound)["redis"] if f.level is Level.PROBLEM]
    finally:
        configure({name: normal[name] for name in configuration})
    assert words in problem.message
    assert problem.hint


def test_clocks_that_are_apart_are_a_warning(sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Redis, "time", lambda _: (int(time.time()) - 3600, 0))
    (warning,) = [f for f in findings(sound)["redis"] if "clocks" in f.message]
    assert re.search(r"3[56]\d\d s apart", warning.message)
    assert "time server" in warning.hint


def test_a_bucket_that_can_not_be_reached_is_a_problem(
    sound: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    url = SecretStr(f"s3://pictures?endpoint=http://127.0.0.1:{free_port()}")
    found = findings(sound.model_copy(update={"storage_url": url}))
    assert found["storage"][0].level is Level.PROBLEM
    assert "endpoint of DETECTOR_STORAGE_URL" in found["storage"][0].hint
    assert any("SECRET_KEY of its own" in f.message for f in found["settings"])


def test_a_short_secret_key_is_a_warning(sound: Settings) -> None:
    found = findings(sound.model_copy(update={"secret_key": SecretStr("0123456789")}))
    assert "SECRET_KEY is short, or one of its fallbacks" in found["settings"][0].message
    assert "python3 -c" in found["settings"][0].hint


def test_a_model_that_there_is_not_is_a_problem(sound: Settings) -> None:
    (problem,) = [
        f
        for f in findings(sound.model_copy(update={"model": "nonsense"}))["models"]
        if f.level is Level.PROBLEM
    ]
    assert problem.hint == "Set it to auto, or to one of: nanodet-g."


def test_a_folder_of_models_that_is_no_folder_is_a_problem(sound: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = findings(sound.model_copy(update={"models_dir": tmp_path / "file"}))["models"]
    assert [f.hint for f in found if f.level is Level.PROBLEM] == [
        "Set DETECTOR_MODELS_DIR to a folder, or unset it."
    ]


@pytest.mark.slow
def test_a_port_that_another_program_has_is_a_problem(sound: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", sound.port))
        other.listen()
        other.settimeout(0.1)
        (finding,) = findings(sound)["web"]
    assert finding.level is Level.PROBLEM


def test_a_port_whose_program_speaks_something_else_is_a_problem(
    sound: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not asked for this machine's own addresses

    def speak(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            connection.recv(1000)

    with socket.create_server(("127.0.0.1", sound.port)) as listener:
        thread = threading.Thread(target=speak, args=(listener,))
        thread.start()
        (finding,) = findings(sound)["web"]
        thread.join(10)
    assert finding.level is Level.PROBLEM
    assert f"Another program is listening on http://127.0.0.1:{sound.port}" in finding.message


def test_a_port_that_another_installation_has_is_a_problem(stack: Stack, tmp_path: Path) -> None:
    port = int(stack.url.rpartition(":")[2])
    (own,) = findings(Settings(data_dir=stack.data_dir, port=port, offline=True))["web"]
    assert own.level is Level.OK
    (other,) = findings(Settings(data_dir=tmp_path / "other", port=port, offline=True))["web"]
    assert other.level is Level.PROBLEM
    assert "a different data folder" in other.message


def test_a_folder_for_temporary_files_that_is_not_there_is_a_warning(
    sound: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert "temporary files" not in findings(sound)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    (finding,) = findings(sound)["temporary files"]
    assert finding.level is Level.WARNING
    assert str(tmp_path / "missing") in finding.message


@pytest.mark.parametrize(
    ("log", "level", "words"),
    [
        (b"*1\r\n$4\r\nPING\r\n", None, ""),
        (b"*1\r\n$4\r\nPING\r\n" + bytes(100), Level.WARNING, "truncates it"),
        (b"*1\r\n$4\r\nPING\r\n" + bytes(2_000_000), Level.PROBLEM, "check-aof --fix"),
    ],
)
def test_a_broken_log_is_found_before_the_start(
    tmp_path: Path, log: bytes, level: Level | None, words: str
) -> None:
    folder = tmp_path / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.1.incr.aof").write_bytes(log)
    (folder / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    found = findings(Settings(data_dir=tmp_path, port=free_port(), offline=True))["redis"]
    trouble = [finding for finding in found if finding.level is not Level.OK]
    assert [finding.level for finding in trouble] == ([] if level is None else [level])
    assert all(words in finding.hint for finding in trouble)


def test_data_that_no_server_here_may_read_are_found_before_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "appendonly.aof").write_bytes(b"REDIS0099\xfa\tredis-ver\x0699.1.2\xfa\nredis-bits\xc0@")
    found = findings(Settings(data_dir=tmp_path, port=free_port(), offline=True))["redis"]
    assert found[-1].level is Level.PROBLEM
    assert "written by Redis 99.1" in found[-1].message


def test_weights_that_are_not_the_published_ones_are_a_problem(sound: Settings) -> None:
    from flask_detector.detectors import model_store

    store = model_store(sound)
    info = store.info("mask-rcnn-r50-fpn")
    weights = store._weights(info)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"nothing of the kind")
    found = findings(sound)
    assert any("not the published ones" in f.message for f in found["models"])


def test_a_data_folder_that_is_no_folder_is_a_problem(sound: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    found = findings(sound.model_copy(update={"data_dir": blocked / "data"}))
    assert found["data"][0].level is Level.PROBLEM
    assert "is a file" in found["data"][0].hint


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "mount it writable"),
        (errno.ENOSPC, "Free some"),
        (errno.EACCES, "this user may write to"),
    ],
)
def test_why_the_data_folder_can_not_be_written_to_decides_what_to_do(
    sound: Settings, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fail(path: Path, data: bytes) -> int:
        path.touch()  # as on a full disk
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    finding = findings(sound)["data"][0]
    assert finding.level is Level.PROBLEM
    assert words in finding.hint
    assert not (sound.data_dir / ".doctor").exists()


def test_the_command_prints_lines_or_json_and_ends_with_the_status(sound: Settings) -> None:
    environment = environment_of(sound)
    lines = run(env=environment)
    assert lines.returncode == 0, lines.stdout + lines.stderr
    assert lines.stderr == ""
    assert "✓ engine: OpenVINO" in lines.stdout
    assert "  → " in lines.stdout
    broken = run("--json", env={**environment, "REDIS_URL": "redis://127.0.0.1:1"})
    assert broken.returncode == 1
    form: list[dict[str, Any]] = json.loads(broken.stdout)
    assert {"what", "level", "message", "hint"} == set(form[0])
    assert [one["what"] for one in form if one["level"] == "problem"] == ["redis"]


def test_a_misspelt_setting_is_a_warning(sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_MODLE", "auto")
    found = [one for one in findings(sound)["settings"] if "DETECTOR_MODLE" in one.message]
    assert found[0].level is Level.WARNING
    assert found[0].hint == "Did you mean DETECTOR_MODEL?"


def test_it_works_where_nothing_is_set(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DETECTOR_")}
    environment |= {"DETECTOR_DATA_DIR": str(tmp_path / "new"), "PORT": str(free_port())}
    environment.pop("REDIS_URL", None)
    answer = run(env=environment)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "'flask-detector serve' starts" in answer.stdout
