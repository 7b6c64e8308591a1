"""The doctor says of each part of an installation how it is and what to do."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from flask_detector.doctor import Finding, Level, examine
from flask_detector.settings import Settings

Environment = Callable[[Settings], dict[str, str]]


def findings(settings: Settings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in examine(settings):
        found.setdefault(finding.what, []).append(finding)
    return found


def run(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flask_detector", "doctor", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def sound(settings: Settings, connection: redis.Redis, free_port: Callable[[], int]) -> Settings:
    return settings.model_copy(update={"port": free_port()})


def test_a_sound_installation_has_nothing_in_the_way(sound: Settings) -> None:
    found = findings(sound)
    assert {"python", "engine", "fonts", "data", "storage", "models", "detection", "redis", "web"} <= set(
        found
    )
    assert [f for part in found.values() for f in part if f.level is Level.PROBLEM] == []
    assert "nanodet-g" in found["detection"][0].message


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
    assert messages == ["Redis may throw records away when its memory is full (allkeys-lru)."]


def test_a_port_that_another_program_has_is_a_problem(sound: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", sound.port))
        other.listen()
        other.settimeout(0.1)
        (finding,) = findings(sound)["web"]
    assert finding.level is Level.PROBLEM


def test_weights_that_are_not_the_published_ones_are_a_problem(sound: Settings) -> None:
    from flask_detector.detectors import model_store

    store = model_store(sound)
    info = store.info("mask-rcnn-r50-fpn")
    weights = store._weights(info)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"nothing of the kind")
    found = findings(sound)
    assert any("not those that were published" in f.message for f in found["models"])


def test_a_data_folder_that_is_no_folder_is_a_problem(sound: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    found = findings(sound.model_copy(update={"data_dir": blocked / "data"}))
    assert found["data"][0].level is Level.PROBLEM


def test_the_command_prints_lines_or_json_and_ends_with_the_status(
    sound: Settings, environment_for: Environment
) -> None:
    environment = environment_for(sound)
    lines = run(env=environment)
    assert lines.returncode == 0, lines.stdout + lines.stderr
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


def test_it_works_where_nothing_is_set(tmp_path: Path, free_port: Callable[[], int]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DETECTOR_")}
    environment |= {"DETECTOR_DATA_DIR": str(tmp_path / "new"), "PORT": str(free_port())}
    environment.pop("REDIS_URL", None)
    answer = run(env=environment)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "'flask-detector serve' starts" in answer.stdout
