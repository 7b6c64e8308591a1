import hashlib
import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.zoo.conversion import Converter
from flask_detector.detectors.zoo.install_state import ModelState, Stage
from flask_detector.detectors.zoo.store import ModelStore
from flask_detector.errors import (
    CheckpointError,
    DownloadError,
    ModelError,
    ModelNotInstalled,
    UnknownModel,
)
from tests.support.file_server import WEIGHTS, files_in
from tests.support.waiting import wait_until

# Another process at work on the same folder, with the same table and a converter that only copies.
PROCESS = """
import os
import signal
import sys
from pathlib import Path
from flask_detector.detectors.zoo.conversion import Converter
from flask_detector.detectors.zoo.registry import ModelInfo, Published
from flask_detector.detectors.zoo.store import ModelStore

folder, url, sha256, *dies = sys.argv[1:]
row = ModelInfo("big", "", "", "mask-rcnn", "", True, Published(url, sha256, 1 << 20), box_ap=40.0)

def convert(checkpoint, folder, **options):
    with open(Path(sys.argv[1]) / "conversions", "a") as log:
        log.write("one\\n")
    (folder / "half").write_text("half")
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / "half").rename(folder / "graph")
    return "mask-rcnn"

store = ModelStore(Path(folder), models={"big": row}, converter=lambda: Converter(1, convert))
store.install("big", on_progress=lambda state: print(state.stage, state.done, flush=True))
"""


@pytest.fixture
def process(server: Any, tmp_path: Path) -> Any:
    started: list[subprocess.Popen[str]] = []

    def start(*extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROCESS, str(tmp_path / "models"), f"{server.url}/weights.pth"]
        command += [hashlib.sha256(WEIGHTS).hexdigest(), *extra]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_a_fresh_store_has_only_the_embedded_model(store: ModelStore) -> None:
    assert [info.name for info in store.known()] == ["tiny", "big", "best"]
    assert store.installed() == ["tiny"]
    assert store.default() == "tiny"
    assert store.state("tiny") == ModelState(Stage.EMBEDDED)
    assert store.state("big") == ModelState(Stage.ABSENT, 0, len(WEIGHTS))


def test_looking_makes_no_folder(store: ModelStore, tmp_path: Path) -> None:
    store.known(), store.installed(), store.default(), store.state("big")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_answered_with_close_ones(store: ModelStore) -> None:
    with pytest.raises(UnknownModel, match=r"There is no model 'bigg'\. Did you mean big\?"):
        store.state("bigg")
    with pytest.raises(UnknownModel, match="Available: tiny, big, best"):
        store.state("../etc")


def test_an_absent_model_has_no_path_and_says_how_to_get_it(store: ModelStore) -> None:
    for use in (store.path, store.ready):
        with pytest.raises(ModelNotInstalled, match="flask-detector models pull big"):
            use("big")
    assert store.state("big").stage is Stage.ABSENT


def test_a_pulled_model_is_installed_and_the_default(store: ModelStore, tmp_path: Path) -> None:
    path = store.pull("big")
    assert path == store.path("big") == tmp_path / "models" / "big" / "weights.pth"
    assert path.read_bytes() == WEIGHTS
    assert store.state("big") == ModelState(Stage.INSTALLED)
    assert store.installed() == ["tiny", "big"]
    assert store.default() == "big"
    assert files_in(tmp_path) == {"models/big/weights.pth", "models/.locks/big"}


def test_what_is_there_is_not_fetched_again(store: ModelStore, server: Any) -> None:
    store.pull("big")
    store.pull("big")
    assert len(server.seen) == 1


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_holds_the_files_by_their_names(store: ModelStore, server: Any, slash: str) -> None:
    server.files["best.pth"] = b"best"
    store.pull("best", mirror_url=f"{server.url}/mirror{slash}")
    assert server.seen[0][0] == "/mirror/best.pth"


def test_a_failed_download_is_told_to_everyone_until_one_succeeds(
    store: ModelStore, server: Any, faults: Any, table: Any, tmp_path: Path
) -> None:
    server.faults = [faults.answer(404)]
    with pytest.raises(DownloadError, match="copy it here and run: flask-detector models add big FILE"):
        store.pull("big")
    other = ModelStore(tmp_path / "models", models=table)
    state = other.state("big")
    assert state.stage is Stage.FAILED
    assert "returned 404 Not Found" in state.note
    assert other.default() == "tiny"
    store.pull("big")
    assert other.state("big") == ModelState(Stage.INSTALLED)


def test_the_hint_names_the_publishers_address_when_the_mirror_fails(
    store: ModelStore, server: Any, faults: Any
) -> None:
    server.faults = [faults.answer(404)]
    with pytest.raises(DownloadError) as caught:
        store.pull("big", mirror_url=f"{server.url}/mirror")
    assert f"{server.url}/mirror/weights.pth" in caught.value.message
    assert f"download {server.url}/files/weights.pth" in caught.value.hint


def test_others_see_how_far_a_download_is(
    store: ModelStore, server: Any, faults: Any, table: Any, tmp_path: Path
) -> None:
    server.faults = [faults.cut(len(WEIGHTS) // 2, pause=0.3)]
    other = ModelStore(tmp_path / "models", models=table)
    thread = threading.Thread(target=store.pull, args=("big",))
    thread.start()
    wait_until(lambda: other.state("big").stage is Stage.DOWNLOADING, 20)
    state = other.state("big")
    thread.join()
    assert state.total == len(WEIGHTS)
    assert state.fraction is not None
    assert 0 <= state.fraction <= 0.5
    assert other.state("big").stage is Stage.INSTALLED


def test_graphs_are_made_once(store: ModelStore, converter: Any, tmp_path: Path) -> None:
    store.pull("big")
    told: list[ModelState] = []
    folder = store.ready("big", on_progress=told.append)
    assert store.ready("big") == folder == tmp_path / "models" / "big" / "converted-1"
    assert files_in(folder) == {"graph"}
    assert converter.calls == ["mmdet-caffe"]
    assert [(state.stage, state.done, state.total) for state in told] == [
        (Stage.CONVERTING, 0, 100),
        (Stage.CONVERTING, 50, 100),
        (Stage.CONVERTING, 100, 100),
    ]


def test_two_who_need_graphs_at_once_make_them_once(store: ModelStore, converter: Any) -> None:
    told: list[list[ModelState]] = [[], []]
    converter.before = lambda: wait_until(lambda: all(told), 20)  # the other one has begun to wait
    store.pull("big")
    threads = [
        threading.Thread(target=store.ready, args=("big",), kwargs={"on_progress": t.append}) for t in told
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(converter.calls) == 1
    assert all(state.stage is Stage.CONVERTING for states in told for state in states)
    assert all(told)
    assert files_in(store.ready("big")) == {"graph"}


def test_others_see_that_a_model_is_being_converted(store: ModelStore, converter: Any) -> None:
    seen: list[Any] = []
    converter.before = lambda: seen.extend([store.state("big"), store.default()])
    store.install("big")
    assert seen == [ModelState(Stage.CONVERTING, 0, 100), "big"]


def test_a_new_version_of_the_graphs_replaces_the_old(store: ModelStore, converter: Any) -> None:
    store.install("big")
    converter.version = 2
    folder = store.ready("big")
    assert folder.name == "converted-2"
    assert files_in(folder.parent) == {"weights.pth", "converted-2/graph"}


def test_only_what_is_converted_is_ranked(store: ModelStore, converter: Any, server: Any) -> None:
    server.files["best.pth"] = b"best"
    store.install("big")
    store.pull("best")
    assert list(store.ranked()) == ["big", "tiny"]
    assert store.unconverted() == ["best"]
    assert store.default() == "best"
    store.ready("best")
    assert list(store.ranked()) == ["best", "big", "tiny"]
    assert store.unconverted() == []
    converter.version = 2
    assert list(store.ranked()) == ["tiny"]
    assert store.unconverted() == ["big", "best"]


def test_what_an_install_measures_is_known_to_all_on_this_machine_until_the_model_goes(
    table: Any, converter: Any, tmp_path: Path
) -> None:
    measured: list[str] = []

    def measure(name: str) -> float:
        measured.append(name)
        return 0.25

    def measuring() -> Converter:
        given: Converter = converter()
        return replace(given, measure=measure)

    here, elsewhere = (
        ModelStore(tmp_path / "models", models=table, converter=measuring, machine=machine)
        for machine in ("here", "elsewhere")
    )
    assert here.seconds("big") is None
    here.install("big")
    here.install("big")
    assert measured == ["big"]
    assert here.seconds("big") == 0.25
    assert elsewhere.seconds("big") is None
    elsewhere.record_seconds("big", 3.0)
    elsewhere.record_seconds("tiny", 0.1)
    assert (here.seconds("big"), elsewhere.seconds("big"), here.seconds("tiny")) == (0.25, 3.0, None)
    (tmp_path / "models" / "big" / "seconds.json").write_text("nonsense")
    assert here.seconds("big") is None
    here.install("big")
    assert here.seconds("big") == 0.25
    here.remove("big")
    assert here.seconds("big") is None


def test_what_is_slow_here_is_not_the_default_but_can_be_had_by_its_name(
    store: ModelStore, server: Any
) -> None:
    server.files["best.pth"] = b"best"
    store.install("big")
    store.install("best")
    store.record_seconds("best", 3.0)
    assert store.ranked() == ["big", "best", "tiny"]
    assert store.default() == "big"
    assert store.ready("best").is_dir()


def test_a_failed_conversion_keeps_the_old_graphs_and_no_half_ones(
    store: ModelStore, converter: Any, tmp_path: Path
) -> None:
    store.install("big")
    store.path("big").write_bytes(b"bad")
    converter.version = 2
    with pytest.raises(CheckpointError):
        store.ready("big")
    assert files_in(tmp_path / "models" / "big") == {"weights.pth", "converted-1/graph", "state.json"}


def test_a_model_whose_conversion_failed_is_not_the_default(store: ModelStore, converter: Any) -> None:
    store.pull("big")
    store.path("big").write_bytes(b"bad")
    with pytest.raises(CheckpointError):
        store.ready("big")
    state = store.state("big")
    assert state.stage is Stage.FAILED
    assert state.note.startswith("weights.pth is no checkpoint.")
    assert (store.installed(), store.default()) == (["tiny"], "tiny")


def test_an_unexpected_failure_is_told_without_its_text(store: ModelStore, converter: Any) -> None:
    def fail() -> None:
        raise RuntimeError("internal detail")

    store.pull("big")
    converter.before = fail
    with pytest.raises(RuntimeError, match="internal detail"):
        store.ready("big")
    assert store.state("big") == ModelState(Stage.FAILED, note="An unexpected error; see the log.")


def test_install_leaves_nothing_to_do(store: ModelStore, converter: Any, server: Any) -> None:
    store.install("big")
    store.install("tiny")
    server.shutdown()
    assert store.ready("big").is_dir()
    assert len(converter.calls) == 1


def test_weights_removed_by_hand_are_noticed(store: ModelStore) -> None:
    store.install("big")
    store.path("big").unlink()
    assert store.default() == "tiny"
    with pytest.raises(ModelNotInstalled):
        store.ready("big")


def test_the_embedded_model_is_neither_converted_nor_changed(store: ModelStore) -> None:
    for change in (store.ready, store.remove, lambda name: store.add(name, Path(__file__))):
        with pytest.raises(ModelError, match="built in"):
            change("tiny")


def test_a_folder_that_cant_be_made_is_told(tmp_path: Path, table: Any, converter: Any, server: Any) -> None:
    (tmp_path / "file").write_text("")
    store = ModelStore(tmp_path / "file" / "models", models=table, converter=converter)
    with pytest.raises(ModelError, match="can't be written: Not a directory") as caught:
        store.pull("big")
    assert "DETECTOR_DATA_DIR" in caught.value.hint


def test_a_removed_model_leaves_nothing(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    store.add("mine", brought)
    store.install("big")
    store.remove("mine")
    store.remove("big")
    assert [info.name for info in store.known()] == ["tiny", "big", "best"]
    assert store.state("big").stage is Stage.ABSENT
    assert files_in(tmp_path / "models") == {".locks/mine", ".locks/big"}
    with pytest.raises(ModelNotInstalled):
        store.remove("big")


def test_a_model_in_work_is_not_removed(store: ModelStore, server: Any, faults: Any) -> None:
    server.faults = [faults.cut(1000, pause=0.4)]
    thread = threading.Thread(target=store.pull, args=("big",))
    thread.start()
    wait_until(lambda: store.state("big").stage is Stage.DOWNLOADING, 20)
    with pytest.raises(ModelError, match="already being downloaded or converted"):
        store.remove("big")
    thread.join()
    assert store.path("big").read_bytes() == WEIGHTS


def test_two_processes_at_once_fetch_and_convert_once(
    process: Any, server: Any, faults: Any, store: ModelStore, tmp_path: Path
) -> None:
    server.faults = [faults.cut(len(WEIGHTS) // 2, pause=1.0)]
    first, second = process(), process()
    outputs = [one.communicate(timeout=60)[0] for one in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    # Both show the download, the waiting one by what the other one tells; it was one, in two parts.
    assert all("downloading" in output for output in outputs)
    assert server.ranges_seen() == [None, f"bytes={len(WEIGHTS) // 2}-"]
    assert (tmp_path / "models" / "conversions").read_text() == "one\n"
    assert store.state("big").stage is Stage.INSTALLED


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_ends_in_a_download_leaves_what_the_next_resumes(
    *, process: Any, server: Any, faults: Any, store: ModelStore, tmp_path: Path, how: signal.Signals
) -> None:
    half = len(WEIGHTS) // 2
    server.faults = [faults.cut(half, pause=30.0)]
    victim = process()
    part = tmp_path / "models" / "big" / "weights.pth.part"
    # The process's own buffer holds back the last bytes.
    wait_until(lambda: part.exists() and part.stat().st_size > 0, 20)
    assert store.state("big").stage is Stage.DOWNLOADING
    victim.send_signal(how)
    victim.wait()
    received = part.stat().st_size
    assert store.state("big") == ModelState(Stage.ABSENT, received, len(WEIGHTS))
    assert store.default() == "tiny"
    store.install("big")
    assert server.ranges_seen() == [None, f"bytes={received}-"]
    assert store.path("big").read_bytes() == WEIGHTS


def test_a_process_killed_while_it_converts_leaves_no_half_graphs(
    process: Any, store: ModelStore, tmp_path: Path
) -> None:
    assert process("dies").wait() == -signal.SIGKILL
    folder = tmp_path / "models" / "big"
    assert files_in(folder) == {"weights.pth", "state.json", "draft/graphs/half"}
    assert json.loads((folder / "state.json").read_text())["stage"] == "converting"
    assert store.state("big") == ModelState(Stage.INSTALLED)
    assert files_in(store.ready("big")) == {"graph"}
    assert files_in(folder) == {"weights.pth", "converted-1/graph"}


def test_labels_are_told_without_loading_the_model(store: ModelStore) -> None:
    assert store.labels("tiny") == store.labels("big") == COCO_LABELS
    store.pull("big")
    graphs = store.ready("big")
    assert store.labels("big") == COCO_LABELS
    (graphs / "manifest.json").write_text('{"labels": ["cup", "saucer"]}')
    assert store.labels("big") == ("cup", "saucer")
    with pytest.raises(UnknownModel):
        store.labels("no-such-model")
