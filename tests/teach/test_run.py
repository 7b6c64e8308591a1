"""Whole runs of a few steps: what they leave, and how they go on."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flask_detector.detectors import ModelStore, load_detector, model_store
from flask_detector.errors import (
    BadParameter,
    BadTrainingData,
    ModelConflict,
    ModelNotInstalled,
    TeachingError,
)
from flask_detector.process import available_memory
from flask_detector.settings import Settings
from flask_detector.teach import lesson
from flask_detector.teach.bases import NanoDetBase, RTMDetBase
from flask_detector.teach.lesson import Lesson
from flask_detector.teach.report import in_words
from flask_detector.teach.run import teach
from tests.support.lessons import coco
from tests.support.weights import rtmdet_weights, write_safetensors

pytestmark = pytest.mark.slow


class Listener:
    """Remembers what it is told; stops the run in a phase, once."""

    def __init__(self, stop_in: str = "") -> None:
        self.said: list[str] = []
        self._stop_in = stop_in

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        if self._stop_in and what.startswith(self._stop_in):
            raise KeyboardInterrupt

    def proven(self, part: float, loss: float, ap50: float, ap: float) -> None:
        pass


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAST_STEPS": 2, "EPOCHS": 1}.items():
        monkeypatch.setattr(lesson, name, value)
    for base in (NanoDetBase, RTMDetBase):
        for name, value in {"batch": 2, "side": 128}.items():
            monkeypatch.setattr(base, name, value)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", precision="float32")


def asked(data: Path, name: str = "walls") -> Lesson:
    return Lesson(data, "nanodet-g", name, minutes=1000)


def test_a_run_leaves_two_models_and_a_card(tmp_path: Path, settings: Settings) -> None:
    folder = coco(tmp_path / "set" / "train", 3)
    coco(tmp_path / "set" / "val", 2, first=10)
    listener = Listener()

    card = teach(asked(folder.parent), settings, listener)

    assert (card.training, card.validation, card.folds, card.steps) == (3, 2, 1, 2)
    assert card.objects == {"brick": (3, 2), "tile": (3, 2)}
    assert set(card.after) == {"brick", "tile", ""}
    assert "walls has learned brick, tile from 3 pictures" in in_words(card)
    assert any(said.startswith("Teaching brick, tile from 3 pictures, tested on 2") for said in listener.said)
    picture = np.zeros((120, 160, 3), np.uint8)
    assert load_detector("walls", settings=settings).detect(picture).labels == ("brick", "tile")
    assert load_detector("nanodet-g-with-walls", settings=settings).labels[-2:] == ("brick", "tile")
    left = settings.data_dir / "teach" / "walls"
    assert sorted(path.name for path in left.iterdir()) == ["card.json", "proof.json", "walls.safetensors"]
    assert json.loads((left / "card.json").read_text())["version"] == card.version


def test_an_rtmdet_is_taught_boxes_and_masks_and_its_pair_keeps_what_it_found(
    tmp_path: Path, settings: Settings, shared: Path
) -> None:
    write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
    model_store(settings).add("tiny", tmp_path / "tiny.safetensors")
    coco(tmp_path / "set" / "train", 2, outlined=True)
    coco(tmp_path / "set" / "val", 1, first=10, outlined=True)

    card = teach(replace(asked(tmp_path / "set"), base="tiny"), settings, Listener())

    assert card.after[""].mask_ap is not None
    assert "mask AP50" in in_words(card)
    alone, pair, base = (load_detector(n, settings=settings) for n in ("walls", "tiny-with-walls", "tiny"))
    assert alone.labels == ("brick", "tile")
    assert pair.labels == (*base.labels, "brick", "tile")
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    found = base.detect(picture, min_score=0.2)
    kept = pair.detect(picture, min_score=0.2).only(base.labels)
    assert len(found) > 0
    known = {(one.box, one.label): one for one in found}
    for one in kept:
        same = known[one.box, one.label]
        assert one.score == same.score
        assert one.mask is not None
        assert same.mask is not None
        np.testing.assert_array_equal(one.mask.counts, same.mask.counts)
    assert alone.detect(picture, min_score=0).masks is not None


def test_the_file_of_a_run_is_a_model_on_another_machine(tmp_path: Path, settings: Settings) -> None:
    coco(tmp_path / "set" / "train", 2)
    coco(tmp_path / "set" / "val", 1, first=10)
    teach(asked(tmp_path / "set"), settings, Listener())
    elsewhere = Settings(data_dir=tmp_path / "elsewhere", precision="float32")

    file = settings.data_dir / "teach" / "walls" / "walls.safetensors"
    model_store(elsewhere).add("walls", file)

    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    here, there = (
        load_detector("walls", settings=one).detect(noise, min_score=0) for one in (settings, elsewhere)
    )
    np.testing.assert_array_equal(here.scores, there.scores)
    assert len(here) == 100


def test_a_run_goes_on_from_wherever_it_was_stopped(tmp_path: Path, settings: Settings) -> None:
    folder = coco(tmp_path / "set", 4)
    for phase in ("Reading", "Learning", "Testing"):
        with pytest.raises(KeyboardInterrupt):
            teach(asked(folder), settings, Listener(stop_in=phase))
    # What has changed meanwhile does not count for it.
    (folder / "instances.json").write_text("{}")
    listener = Listener()

    card = teach(asked(folder), settings, listener)

    assert listener.said[0].startswith("Going on from where the last run was stopped")
    assert (card.folds, card.validation, card.training) == (3, 4, 4)
    assert card.steps == 8
    assert {"walls", "nanodet-g-with-walls"} <= set(model_store(settings).installed())


def test_a_run_that_ended_between_its_two_models_adds_the_other_one(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco(tmp_path / "set" / "train", 2)
    coco(tmp_path / "set" / "val", 1, first=10)

    def add(store: ModelStore, name: str, file: Path, *, variant: str | None = None) -> None:
        if variant is not None:
            raise KeyboardInterrupt
        before(store, name, file, variant=variant)

    before = ModelStore.add
    with monkeypatch.context() as patch:
        patch.setattr(ModelStore, "add", add)
        with pytest.raises(KeyboardInterrupt):
            teach(asked(tmp_path / "set"), settings, Listener())
    assert "walls" in model_store(settings).installed()

    teach(asked(tmp_path / "set"), settings, Listener())

    assert {"walls", "nanodet-g-with-walls"} <= set(model_store(settings).installed())


@pytest.mark.parametrize("base", ["nanodet-g", "tiny"])
def test_a_loss_that_is_no_number_ends_a_run_and_the_next_goes_on_before_it(
    tmp_path: Path, settings: Settings, shared: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    if base == "tiny":
        write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
        model_store(settings).add("tiny", tmp_path / "tiny.safetensors")
    coco(tmp_path / "set" / "train", 2, outlined=True)
    coco(tmp_path / "set" / "val", 1, first=10, outlined=True)
    before = model_store(settings).installed()
    with monkeypatch.context() as patch:
        for name in ("_NanoDet", "_RTMDet"):
            patch.setattr(f"flask_detector.teach.pupil.{name}.loss", lambda *_: torch.tensor(float("nan")))
        with pytest.raises(TeachingError, match="no finite number at step 0"):
            teach(replace(asked(tmp_path / "set"), base=base), settings, Listener())
    assert model_store(settings).installed() == before
    listener = Listener()

    teach(replace(asked(tmp_path / "set"), base=base), settings, listener)

    assert listener.said[0].startswith("Going on from where the last run was stopped")


def test_beginning_again_with_the_name_of_a_model_leaves_what_came_of_it(
    tmp_path: Path, settings: Settings
) -> None:
    coco(tmp_path / "set" / "train", 2)
    coco(tmp_path / "set" / "val", 1, first=10)
    teach(asked(tmp_path / "set"), settings, Listener())

    with pytest.raises(ModelConflict, match="A model named walls already exists"):
        teach(asked(tmp_path / "set"), settings, Listener(), restart=True)

    left = settings.data_dir / "teach" / "walls"
    assert sorted(path.name for path in left.iterdir()) == ["card.json", "proof.json", "walls.safetensors"]


def test_names_that_are_taken_and_other_wishes_are_refused_before_anything_is_done(
    tmp_path: Path, settings: Settings
) -> None:
    folder = coco(tmp_path / "set", 4)
    with pytest.raises(KeyboardInterrupt):
        teach(asked(folder), settings, Listener(stop_in="Learning"))

    with pytest.raises(ModelConflict, match="with other pictures or options was stopped"):
        teach(asked(coco(tmp_path / "other", 4)), settings, Listener())
    with pytest.raises(ModelConflict, match="A model named nanodet-g already exists"):
        teach(asked(folder, "nanodet-g"), settings, Listener())


def test_a_run_with_nothing_to_learn_leaves_nothing(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(BadTrainingData):
        teach(asked(coco(tmp_path / "set", 1)), settings, Listener())

    assert [path for path in (settings.data_dir / "teach").rglob("*") if path.is_file()] == [
        settings.data_dir / "teach" / ".lock"
    ]


def test_too_little_memory_is_said_before_the_training(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 500_000_000)

    with pytest.raises(TeachingError, match=r"about 1\.8 GB of memory; 0\.5 GB are left"):
        teach(asked(coco(tmp_path / "set", 4)), settings, Listener())


def test_what_a_run_has_left_that_was_killed_when_it_was_done_goes_with_the_next(
    tmp_path: Path, settings: Settings
) -> None:
    left = settings.data_dir / "teach" / ".unfinished" / "nanodet-g"
    left.mkdir(parents=True)
    (left / "part1.npz").touch()

    with pytest.raises(ModelConflict, match="A model named nanodet-g already exists"):
        teach(asked(coco(tmp_path / "set", 4), "nanodet-g"), settings, Listener())

    assert not left.exists()


def test_pytorch_without_memory_is_said_in_words(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("flask_detector.teach.training.Training._learn", fail)

    with pytest.raises(TeachingError, match="There is not enough memory to teach"):
        teach(asked(coco(tmp_path / "set", 4)), settings, Listener())
    assert model_store(settings).installed() == ["nanodet-g"]


def test_a_checkpoint_for_which_there_is_no_memory_is_said_in_words(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, *_: object) -> int:
            raise MemoryError

    monkeypatch.setattr("flask_detector.teach.training._CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("flask_detector.teach.training.io", SimpleNamespace(BytesIO=Full))

    with pytest.raises(TeachingError, match="There is not enough memory to teach"):
        teach(asked(coco(tmp_path / "set", 4)), settings, Listener())


def test_a_model_that_cannot_be_taught_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(BadParameter, match="'mask-rcnn-r50-fpn' can't be taught"):
        teach(replace(asked(coco(tmp_path / "set", 4)), base="mask-rcnn-r50-fpn"), settings, Listener())
    with pytest.raises(ModelNotInstalled):
        teach(replace(asked(tmp_path / "set"), base="rtmdet-ins-s"), settings, Listener())
