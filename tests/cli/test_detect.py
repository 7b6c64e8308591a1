import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from flask_detector.cli import main
from flask_detector.detections import Detections


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("DETECTOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DETECTOR_OFFLINE", "1")
    return CliRunner()


def test_pictures_are_summed_up_and_drawn_without_a_server(
    run: CliRunner, pictures: Path, tmp_path: Path
) -> None:
    names = ("apartment.jpg", "zoo.jpg")
    command = ["detect", *(str(pictures / name) for name in names), "--out", str(tmp_path / "drawn")]
    answer = run.invoke(main, command)
    assert answer.exit_code == 0
    assert "chair" in answer.output
    assert "nanodet-g" in answer.output
    drawn = [Image.open(io.BytesIO((tmp_path / "drawn" / f"detected_{name}").read_bytes())) for name in names]
    assert [(picture.format, picture.size) for picture in drawn] == [
        ("JPEG", (1024, 683)),
        ("WEBP", (1200, 1200)),
    ]


def test_json_is_one_object_a_line(run: CliRunner, pictures: Path) -> None:
    paths = [str(pictures / name) for name in ("street.jpg", "park.jpg")]
    answer = run.invoke(main, ["detect", *paths, "--json", "--min-score", "0.5"])
    forms = [json.loads(line) for line in answer.output.splitlines()]
    assert [form["file"] for form in forms] == paths
    found = Detections.from_json(forms[0])
    assert found.counts()["car"] >= 2
    assert found.scores.min() >= 0.5


def test_a_bad_picture_is_told_and_the_others_are_still_detected(
    run: CliRunner, pictures: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    paths = [str(bad), str(tmp_path / "missing.jpg"), str(pictures / "park.jpg")]
    answer = run.invoke(main, ["detect", *paths])
    assert answer.exit_code == 1
    assert "bench" in answer.stdout
    assert "not a picture" in answer.stderr
    assert "no such file" in answer.stderr
    lines = run.invoke(main, ["detect", *paths, "--json"]).stdout.splitlines()
    codes = [json.loads(line).get("error", {}).get("code") for line in lines]
    assert codes == ["unreadable", "not_a_picture", None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "no-such-model"], "no-such-model"),
        (["--model", "mask-rcnn-r50-fpn"], "models pull mask-rcnn-r50-fpn"),
        (["--min-score", "2"], "min-score"),
    ],
)
def test_a_wrong_option_says_what_would_be_right(run: CliRunner, options: list[str], words: str) -> None:
    answer = run.invoke(main, ["detect", "cat.jpg", *options])
    assert answer.exit_code != 0
    assert words in answer.output
    assert "Traceback" not in answer.output


def test_each_command_explains_itself(run: CliRunner) -> None:
    for command in ([], ["serve"], ["web"], ["worker"], ["detect"], ["models"]):
        answer = run.invoke(main, [*command, "--help"])
        assert answer.exit_code == 0
        assert "Usage:" in answer.output
