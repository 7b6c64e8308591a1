import resource
from pathlib import Path

import numpy as np
import pytest

from flask_detector.errors import TeachingError
from flask_detector.structures.boxes import Floats
from flask_detector.teach import lesson
from flask_detector.teach.bases import NanoDetBase
from flask_detector.teach.examples import Example
from flask_detector.teach.lesson import steps_for
from flask_detector.teach.training import Step, Training
from tests.support.examples import example

pytestmark = pytest.mark.slow

BASE = NanoDetBase("nanodet-g")


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Example]:
    for name, value in {"LEAST_STEPS": 4, "EPOCHS": 1}.items():
        monkeypatch.setattr(lesson, name, value)
    for name, value in {"batch": 2, "side": 128}.items():
        monkeypatch.setattr(NanoDetBase, name, value)
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 255, (256, 320, 3), dtype=np.uint8))
    return [example("a", (0, (10, 10, 60, 60)), file=tmp_path / "noise.npy")] * 3


def trained(examples: list[Example], file: Path, stop_at: int = 0) -> tuple[dict[str, Floats], list[Step]]:
    steps = []

    def on_step(step: Step) -> None:
        steps.append(step)
        if step.number == stop_at:
            raise KeyboardInterrupt

    return Training(BASE, examples, 1, seed=3, seconds=1e6, file=file).run(on_step), steps


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(
    examples: list[Example], tmp_path: Path
) -> None:
    whole, all_steps = trained(examples, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(examples, tmp_path / "stopped.pt", stop_at=2)

    resumed, steps = trained(examples, tmp_path / "stopped.pt")

    assert [step.number for step in all_steps] == [1, 2, 3, 4]
    assert [step.number for step in steps] == [3, 4]
    assert steps[0].seconds > 0
    for name, array in whole.items():
        np.testing.assert_allclose(resumed[name], array, rtol=0, atol=1e-6)


def test_a_checkpoint_that_there_is_no_room_for_leaves_the_one_before(
    examples: list[Example], tmp_path: Path
) -> None:
    file = tmp_path / "run" / "checkpoint.pt"
    file.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        trained(examples, file, stop_at=1)
    before = file.read_bytes()

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            trained(examples, file, stop_at=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


def test_a_checkpoint_of_other_pictures_is_refused(examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(examples, tmp_path / "checkpoint.pt", stop_at=1)

    with pytest.raises(TeachingError, match="can't be gone on from"):
        trained(examples[:2], tmp_path / "checkpoint.pt")


def test_a_loss_that_is_no_number_ends_it_with_words(
    examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NanoDetBase, "rate", 1e20)

    with pytest.raises(TeachingError, match="The loss is no finite number at step"):
        trained(examples, tmp_path / "checkpoint.pt")


def test_no_more_time_is_taken_than_there_is(examples: list[Example], tmp_path: Path) -> None:
    steps: list[Step] = []

    Training(BASE, examples, 1, seed=0, seconds=0.001, file=tmp_path / "checkpoint.pt").run(steps.append)

    assert [step.part for step in steps] == [1]


def test_more_pictures_get_more_steps() -> None:
    assert [steps_for(count, BASE.batch) for count in (5, 40, 400, 10**6)] == [250, 250, 2500, 4000]
