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
    BadParameter,
    CheckpointError,
    DownloadError,
    ModelError,
    ModelNotInstalled,
    UnknownModel,
)
from tests.support.file_server import StandInConverter
from tests.support.waiting import wait_until

WEIGHTS = bytes(range(256)) * 4096

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


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


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
    assert files(tmp_path) == {"models/big/weights.pth", "models/.locks/big"}


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
    assert files(folder) == {"graph"}
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
    assert files(store.ready("big")) == {"graph"}


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
    assert files(folder.parent) == {"weights.pth", "converted-2/graph"}


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
    assert files(tmp_path / "models" / "big") == {"weights.pth", "converted-1/graph", "state.json"}


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


def test_the_published_file_can_be_brought_by_hand(
    store: ModelStore, tmp_path: Path, server: Any, converter: Any
) -> None:
    brought = tmp_path / "copied.bin"
    brought.write_bytes(WEIGHTS)
    store.add("big", brought)
    assert store.path("big") == tmp_path / "models" / "big" / "weights.pth"
    assert store.default() == "big"
    assert store.pull("big").read_bytes() == WEIGHTS
    assert store.ready("big").is_dir()
    assert server.seen == []
    assert converter.calls == ["mmdet-caffe"]


def test_another_file_is_refused_under_a_published_name(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"other weights")
    with pytest.raises(CheckpointError, match=r"sha256 begins with \w{8}, not with \w{8}") as caught:
        store.add("big", brought)
    assert "choose another name" in caught.value.hint
    assert store.state("big").stage is Stage.ABSENT
    assert files(tmp_path / "models") == {".locks/big"}


def test_adding_a_published_file_takes_the_place_of_a_failed_download(
    store: ModelStore, tmp_path: Path, server: Any, faults: Any
) -> None:
    server.faults = [faults.answer(404)]
    with pytest.raises(DownloadError):
        store.pull("big")
    brought = tmp_path / "copied.pth"
    brought.write_bytes(WEIGHTS)
    store.add("big", brought)
    assert store.state("big").stage is Stage.INSTALLED


@pytest.mark.parametrize("file_name", ["Epoch 12.PTH", "best.safetensors", "best"])
def test_an_own_model_is_known_to_everyone_but_never_the_default(
    store: ModelStore, tmp_path: Path, table: Any, converter: Any, file_name: str
) -> None:
    brought = tmp_path / file_name
    brought.write_bytes(b"my weights")
    store.add("birds.v2", brought, variant="mmdet-pytorch")
    other = ModelStore(tmp_path / "models", models=table, converter=converter)
    info = other.info("birds.v2")
    assert [known.name for known in other.known()] == ["tiny", "big", "best", "birds.v2"]
    assert (info.variant, info.box_ap, info.source.size) == ("mmdet-pytorch", None, 10)
    assert file_name in info.what
    assert other.path("birds.v2").name == "converted-1"
    assert files(tmp_path / "models") == {
        "birds.v2/converted-1/graph",
        "birds.v2/model.json",
        ".locks/birds.v2",
    }
    assert other.installed() == ["tiny", "birds.v2"]
    assert other.default() == "tiny"
    assert other.state("birds.v2").stage is Stage.INSTALLED


def test_an_own_model_is_not_taken_for_one_of_that_name_in_a_later_table(
    store: ModelStore, tmp_path: Path, table: Any, converter: Any
) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(WEIGHTS)
    store.add("birds", brought)
    later = {**table, "birds": replace(table["best"], name="birds", box_ap=99.0)}
    other = ModelStore(tmp_path / "models", models=later, converter=lambda: converter)
    assert list(other.ranked()) == ["tiny"]
    other.pull("birds")
    assert list(other.ranked()) == ["tiny"]


def test_an_own_model_is_converted_as_it_is_added(store: ModelStore, tmp_path: Path, converter: Any) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    store.add("mine", brought)
    assert converter.calls == [None]
    assert files(store.ready("mine")) == {"graph"}
    assert len(converter.calls) == 1


@pytest.mark.parametrize(("content", "variant"), [(b"bad weights", None), (b"good", "unheard-of")])
def test_a_file_that_is_no_checkpoint_is_not_added(
    store: ModelStore, tmp_path: Path, content: bytes, variant: str | None
) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(content)
    with pytest.raises((CheckpointError, BadParameter), match=r"mine\.pth is no checkpoint|no variant"):
        store.add("mine", brought, variant=variant)
    with pytest.raises(UnknownModel):
        store.info("mine")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".locks"]
    brought.write_bytes(b"good")
    store.add("mine", brought)
    assert store.state("mine").stage is Stage.INSTALLED


def test_the_published_file_is_known_under_any_name(
    store: ModelStore, tmp_path: Path, converter: Any
) -> None:
    brought = tmp_path / "renamed.bin"
    brought.write_bytes(WEIGHTS)
    store.add("mine", brought)
    assert converter.calls == ["mmdet-caffe"]


def test_adding_returns_what_the_file_was_taken_for(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    reading = store.add("mine", brought, labels=["cup"], options={"min_size": "640"})
    assert (reading.architecture, reading.labels, reading.options) == (
        "mask-rcnn",
        ("cup",),
        {"min_size": "640"},
    )
    assert store.labels("mine") == ("cup",)


def test_a_model_that_does_not_work_is_not_added(store: ModelStore, tmp_path: Path, converter: Any) -> None:
    def fail(graphs: Path) -> None:
        assert (graphs / "graph").is_file()
        raise CheckpointError("The model answers with values that are no finite numbers.")

    converter.check = fail
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    with pytest.raises(CheckpointError, match="no finite numbers"):
        store.add("mine", brought)
    assert files(tmp_path / "models") == {".locks/mine"}
    assert brought.read_bytes() == b"my weights"


@pytest.mark.parametrize(
    "name", ["", "..", "../up", "a/b", ".hidden", "with space", "auto", "x" * 65, "-v", "ü"]
)
def test_names_that_could_be_anything_but_a_name_are_refused(
    store: ModelStore, tmp_path: Path, name: str
) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    with pytest.raises(BadParameter, match="can't be called"):
        store.add(name, brought)
    assert list(tmp_path.iterdir()) == [brought]


def test_a_missing_file_is_told(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match=r"There is no file .*nothing\.pth"):
        store.add("mine", tmp_path / "nothing.pth")


def test_a_folder_is_told_from_a_missing_file(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="is a folder"):
        store.add("mine", tmp_path)


def test_an_own_model_of_an_earlier_version_says_to_add_it_again_and_that_works(
    store: ModelStore, converter: StandInConverter, tmp_path: Path
) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    store.add("mine", brought)
    converter.version += 1
    state = store.state("mine")
    assert state.stage is Stage.FAILED
    assert "flask-detector models add mine FILE" in state.note
    assert "mine" not in store.installed()
    store.add("mine", brought)
    assert store.state("mine").stage is Stage.INSTALLED


def test_a_variant_that_contradicts_the_table_is_refused(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "copied.pth"
    brought.write_bytes(WEIGHTS)
    with pytest.raises(BadParameter, match="mmdet-caffe"):
        store.add("big", brought, variant="torchvision-v1")


@pytest.mark.parametrize("name", ["big", "mine"])
def test_a_model_is_not_added_over_another(store: ModelStore, tmp_path: Path, name: str) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(WEIGHTS)
    store.pull("big")
    store.add("mine", brought)
    with pytest.raises(ModelError, match=f"A model named {name} already exists"):
        store.add(name, brought)
    assert store.state("mine").stage is Stage.INSTALLED


def test_an_unreadable_description_hides_only_its_own_model(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    store.add("mine", brought)
    (tmp_path / "models" / "mine" / "model.json").write_text("{")
    assert [info.name for info in store.known()] == ["tiny", "big", "best"]
    store.add("mine", brought)
    assert store.installed() == ["tiny", "mine"]


def test_a_removed_model_leaves_nothing(store: ModelStore, tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    brought.write_bytes(b"my weights")
    store.add("mine", brought)
    store.install("big")
    store.remove("mine")
    store.remove("big")
    assert [info.name for info in store.known()] == ["tiny", "big", "best"]
    assert store.state("big").stage is Stage.ABSENT
    assert files(tmp_path / "models") == {".locks/mine", ".locks/big"}
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
    assert files(folder) == {"weights.pth", "state.json", "draft/graphs/half"}
    assert json.loads((folder / "state.json").read_text())["stage"] == "converting"
    assert store.state("big") == ModelState(Stage.INSTALLED)
    assert files(store.ready("big")) == {"graph"}
    assert files(folder) == {"weights.pth", "converted-1/graph"}


def test_labels_are_told_without_loading_the_model(store: ModelStore) -> None:
    assert store.labels("tiny") == store.labels("big") == COCO_LABELS
    store.pull("big")
    graphs = store.ready("big")
    assert store.labels("big") == COCO_LABELS
    (graphs / "manifest.json").write_text('{"labels": ["cup", "saucer"]}')
    assert store.labels("big") == ("cup", "saucer")
    with pytest.raises(UnknownModel):
        store.labels("no-such-model")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("cup", "is that of class 1, too: 'cup'"),
        ("\u200b\u2060", "is empty"),
        ("x" * 101, "has 101 characters"),
        ("two\nlines", "has an end of a line"),
        ("a\tb", "has an end of a line"),
        ("a\u2028b", "has an end of a line"),
        ("a\x00b", "has an end of a line"),
        ("a\u202eb", "has an end of a line"),
        ("\u2066a\u2069", "has an end of a line"),
    ],
)
def test_a_model_with_a_class_whose_name_is_no_name_is_not_added(
    store: ModelStore, converter: Any, tmp_path: Path, label: str, problem: str
) -> None:
    converter.labels = ("cup", label)
    brought = tmp_path / "own.pth"
    brought.write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=f"The name of class 2 {problem}"):
        store.add("mine", brought)
    assert "mine" not in store.installed()
    converter.labels = ("cup", 'naïve, "quoted" <b> 😀 قطة 猫', "x" * 100)
    store.add("mine", brought)
    assert store.labels("mine") == converter.labels


def test_one_that_was_added_before_keeps_its_names(store: ModelStore, converter: Any, tmp_path: Path) -> None:
    """Also when its graphs are made anew; its file was kept then."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "weights.pth").write_bytes(b"weights")
    source = {"file_name": "weights.pth", "original_name": "own.pth", "sha256": "0" * 64, "size": 7}
    form = {"architecture": "mask-rcnn", "variant": None, "source": source}
    (folder / "model.json").write_text(json.dumps(form))
    assert store.installed() == ["tiny", "mine"]
    converter.labels, converter.version = ("", "two\nlines"), 2
    store.ready("mine")
    assert store.labels("mine") == ("", "two\nlines")
