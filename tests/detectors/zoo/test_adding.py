"""A file that somebody has, added: the published one of a model, or the weights of a model of their own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors.zoo.install_state import Stage
from flask_detector.detectors.zoo.store import ModelStore
from flask_detector.errors import (
    BadParameter,
    CheckpointError,
    DownloadError,
    ModelError,
    UnknownModel,
)
from tests.support.file_server import WEIGHTS, StandInConverter, files_in


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
    assert files_in(tmp_path / "models") == {".locks/big"}


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
    assert files_in(tmp_path / "models") == {
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
    assert files_in(store.ready("mine")) == {"graph"}
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
    assert files_in(tmp_path / "models") == {".locks/mine"}
    assert brought.read_bytes() == b"my weights"


@pytest.mark.parametrize(
    "name", ["", "..", "../up", "a/b", ".hidden", "with space", "auto", "teach", "x" * 65, "-v", "ü"]
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
