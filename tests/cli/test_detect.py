import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from flask_detector.cli import main
from flask_detector.client import Client
from flask_detector.formats import FORMATS
from flask_detector.structures.detections import Detections
from tests.support.stack import Stack


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
    for command in ([], ["serve"], ["web"], ["worker"], ["detect"], ["evaluate"], ["models"]):
        answer = run.invoke(main, [*command, "--help"])
        assert answer.exit_code == 0
        assert "Usage:" in answer.output


def test_a_folder_is_searched_and_other_files_in_it_are_no_failure(
    run: CliRunner, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos" / "2024"
    folder.mkdir(parents=True)
    shutil.copy(pictures / "park.jpg", folder / "by content")
    (folder / "notes.txt").write_text("no picture")
    answer = run.invoke(main, ["detect", str(tmp_path / "photos"), "--json"])
    assert answer.exit_code == 0
    assert [json.loads(line)["file"] for line in answer.stdout.splitlines()] == [str(folder / "by content")]


@pytest.mark.parametrize("asked", ["empty", "empty/*.jpg", "missing"])
def test_no_picture_at_all_is_wrong_usage(
    run: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    answer = run.invoke(main, ["detect", asked])
    assert answer.exit_code == 2
    assert "No pictures found." in answer.stderr


def test_standard_input_is_a_picture(run: CliRunner, pictures: Path, tmp_path: Path) -> None:
    data = (pictures / "street.jpg").read_bytes()
    command = ["detect", "-", "--json", "--out", str(tmp_path / "drawn")]
    form = json.loads(run.invoke(main, command, input=data).stdout)
    assert form["file"] == "-"
    assert form["drawn"] == str(tmp_path / "drawn" / "detected_stdin.webp")
    answer = run.invoke(main, ["detect", "-"], input=b"")
    assert answer.exit_code == 1
    assert "standard input: The file is empty." in answer.stderr


def test_only_the_asked_for_labels_are_kept(run: CliRunner, pictures: Path) -> None:
    answer = run.invoke(main, ["detect", str(pictures / "street.jpg"), "--json", "--labels", "person, dog"])
    assert {one["label"] for one in json.loads(answer.stdout)["instances"]} == {"person"}


@pytest.mark.parametrize(
    ("label", "words"), [("carr", "Did you mean 'car'?"), ("xyzzy", "Its classes are person")]
)
def test_an_unknown_label_is_told_before_anything_is_done(
    run: CliRunner, pictures: Path, label: str, words: str
) -> None:
    answer = run.invoke(main, ["detect", str(pictures), "--labels", label])
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "voc"], "--format requires --out"),
        (["--out", "all.zip"], "requires --format"),
        (["--format", "pascal", "--out", "x"], "'pascal' is not one of"),
        (["--server", "localhost:5000"], "not the URL of a server"),
    ],
)
def test_options_that_do_not_go_together_say_so(run: CliRunner, options: list[str], words: str) -> None:
    answer = run.invoke(main, ["detect", "cat.jpg", *options])
    assert answer.exit_code in {1, 2}
    assert words in answer.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_a_file_for_each_picture(
    run: CliRunner, pictures: Path, tmp_path: Path, name: str
) -> None:
    command = ["detect", str(pictures / "park.jpg"), "--format", name, "--out", str(tmp_path)]
    answer = run.invoke(main, command)
    assert answer.exit_code == 0
    written = tmp_path / f"park{FORMATS[name].suffix}"
    assert f"written to {written}" in answer.stdout
    assert written.stat().st_size > 0


def test_a_zip_is_one_data_set_of_all(run: CliRunner, pictures: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    out = tmp_path / "new" / "all.zip"
    command = ["detect", str(pictures / "park.jpg"), str(bad), str(pictures / "street.jpg")]
    answer = run.invoke(main, [*command, "--format", "yolo", "--out", str(out)])
    assert answer.exit_code == 1
    with zipfile.ZipFile(out) as archive:
        assert archive.read("images/park.jpg") == (pictures / "park.jpg").read_bytes()
        assert archive.read("labels/street.txt")
        assert "images/bad.jpg" not in archive.namelist()


def test_a_data_set_of_no_usable_picture_is_not_written(run: CliRunner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    answer = run.invoke(main, ["detect", str(bad), "--format", "coco", "--out", str(tmp_path / "all.zip")])
    assert answer.exit_code == 1
    assert "No picture could be used" in answer.stderr
    assert list(tmp_path.glob("*all*")) == list(tmp_path.glob(".*all*")) == []


def test_a_server_that_is_not_there_ends_the_run(
    run: CliRunner, jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_detector.cli.detect.Client", partial(Client, sleep=lambda _: None))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    answer = run.invoke(main, ["detect", str(tmp_path / "a.jpg"), "--server", "https://[::1]:1/"])
    assert answer.exit_code == 1
    assert "can't be reached" in answer.stderr


def test_a_real_server_does_the_same_as_this_machine(
    run: CliRunner, stack: Stack, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    command = [
        "detect",
        str(pictures / "street.jpg"),
        str(tmp_path / "bad.jpg"),
        "--json",
        "--model",
        "nanodet-g",
    ]
    command += ["--labels", "car"]
    here = run.invoke(main, command)
    there = run.invoke(main, [*command, "--server", stack.url, "--out", str(tmp_path / "drawn")])
    assert here.exit_code == there.exit_code == 1
    (found, bad), (expected, also_bad) = (
        [json.loads(line) for line in answer.stdout.splitlines()] for answer in (there, here)
    )
    assert [one["box"] for one in found["instances"]] == [one["box"] for one in expected["instances"]]
    assert bad == also_bad
    assert Path(found["drawn"]).stat().st_size > 0


def test_a_name_that_would_steer_the_terminal_is_shown_harmless(
    run: CliRunner, jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a\x1b[2J.jpg").write_bytes(jpeg)
    (tmp_path / "b\x1b[2J.jpg").write_bytes(b"bad")
    answer = run.invoke(main, ["detect", str(tmp_path)])
    assert "\x1b" not in answer.output
    assert "a\ufffd[2J.jpg" in answer.stdout


def test_a_file_that_can_not_be_read_is_told(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    answer = run.invoke(main, ["detect", str(tmp_path / "gone.jpg")])
    assert answer.exit_code == 1
    assert "gone.jpg: The file can't be read: No such file or directory." in answer.stderr


def test_a_server_that_refuses_the_key_ends_the_run(
    run: CliRunner, jpeg: bytes, tmp_path: Path, stack: Stack
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    command = ["detect", str(tmp_path / "a.jpg"), "--server", stack.url, "--api-key", "no-such-key"]
    answer = run.invoke(main, command)
    assert answer.exit_code == 1
    assert "Set a key with --api-key or DETECTOR_API_KEY." in answer.stderr


def test_a_file_that_is_too_large_is_told_without_reading_all_of_it(
    run: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_MAX_UPLOAD_MB", "1")
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(50_000_000)
    answer = run.invoke(main, ["detect", str(tmp_path / "large.jpg")])
    assert answer.exit_code == 1
    assert "large.jpg: The file has more than 1 MB, the most that is accepted." in answer.stderr


class Busy(BaseHTTPRequestHandler):
    """A server that first turns each picture away, then answers as soon as three have come together."""

    turned_away: set[str]
    together: threading.Barrier

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Idempotency-Key"]
        if key not in self.turned_away:
            self.turned_away.add(key)
            self._answer(429, {"error": {"code": "queue_full", "message": "Full.", "hint": "Wait."}})
            return
        self.together.wait(30)
        width = Image.open(io.BytesIO(body[body.index(b"\xff\xd8") :])).width
        self._answer(200, {"id": "a", "status": "done", "result": {**NOTHING, "width": width}})

    def _answer(self, status: int, form: object) -> None:
        data = json.dumps(form).encode()
        self.send_response(status)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


NOTHING = {
    "version": 1,
    "model": "m",
    "height": 9,
    "instances": [],
    "labels": [],
    "has_masks": False,
    "timings_ms": {},
}


def test_a_busy_server_gets_several_pictures_at_once_and_their_results_are_told_in_order(
    run: CliRunner, tmp_path: Path, serve_http: Callable[[HTTPServer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("flask_detector.cli.detect.Client", partial(Client, sleep=slept.append))
    for width in range(1, 7):
        Image.new("RGB", (width, 9)).save(tmp_path / f"{width}.jpg")
    handler = type("Handler", (Busy,), {"turned_away": set(), "together": threading.Barrier(3)})
    url = serve_http(ThreadingHTTPServer(("127.0.0.1", 0), handler))
    answer = run.invoke(main, ["detect", str(tmp_path), "--json", "--server", url, "--at-once", "3"])
    assert answer.exit_code == 0
    assert [json.loads(line)["width"] for line in answer.stdout.splitlines()] == [1, 2, 3, 4, 5, 6]
    assert slept == [1.0] * 6


def test_the_pictures_that_the_model_is_least_sure_of_come_first(run: CliRunner, pictures: Path) -> None:
    command = ["detect", "--unsure-first", str(pictures / "zoo.jpg"), str(pictures / "apartment.jpg")]
    answer = run.invoke(main, command)
    assert answer.exit_code == 0
    rows = [line.split(None, 1) for line in answer.stdout.splitlines()]
    assert {Path(name).name for _, name in rows} == {"zoo.jpg", "apartment.jpg"}
    assert float(rows[0][0]) >= float(rows[1][0]) > 0
    forms = [json.loads(line) for line in run.invoke(main, [*command, "--json"]).stdout.splitlines()]
    assert [form["doubt"] for form in forms] == [float(number) for number, _ in rows]
    assert run.invoke(main, [*command, "--out", "x"]).exit_code == 2
