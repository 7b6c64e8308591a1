from dataclasses import replace
from pathlib import Path

import pytest

from flask_detector.detectors.zoo.ranking import best_first, machine_of
from flask_detector.detectors.zoo.registry import MODELS
from flask_detector.settings import Settings

EMBEDDED, SMALL, LARGE, BOXES, SLOW = (
    "nanodet-g",
    "rtmdet-ins-s",
    "rtmdet-ins-x",
    "rtmdet-x",
    "mask-rcnn-r50-fpn",
)


@pytest.mark.parametrize(
    ("installed", "seconds", "default"),
    [
        # The most accurate one that is quick.
        ((EMBEDDED, SMALL, LARGE), {SMALL: 0.3, LARGE: 0.9}, LARGE),
        ((EMBEDDED, SMALL, LARGE), {SMALL: 0.3, LARGE: 1.1}, SMALL),
        ((EMBEDDED, SMALL, SLOW), {SMALL: 0.3, SLOW: 4.0}, SMALL),
        # One that was not measured may be quick.
        ((EMBEDDED, SMALL, LARGE), {SMALL: 0.3}, LARGE),
        # Masks come before a little accuracy.
        ((EMBEDDED, SMALL, BOXES), {SMALL: 0.3, BOXES: 0.9}, SMALL),
        ((EMBEDDED, SMALL, BOXES), {SMALL: 2.0, BOXES: 0.9}, BOXES),
        # Where none is quick the quickest is; nobody installs a model to get the embedded one.
        ((EMBEDDED, SMALL, SLOW), {EMBEDDED: 0.1, SMALL: 2.0, SLOW: 4.0}, SMALL),
        ((EMBEDDED, SLOW), {EMBEDDED: 0.1, SLOW: 4.0}, SLOW),
        ((EMBEDDED,), {EMBEDDED: 5.0}, EMBEDDED),
    ],
)
def test_the_default_is_the_most_accurate_model_that_is_quick_here(
    installed: tuple[str, ...], seconds: dict[str, float], default: str
) -> None:
    assert best_first((MODELS[name] for name in installed), seconds)[0].name == default


def test_a_model_without_a_published_accuracy_is_never_the_default() -> None:
    own = replace(MODELS[SMALL], name="own", box_ap=None)
    assert [info.name for info in best_first([own, MODELS[EMBEDDED]], {})] == [EMBEDDED]


def test_what_is_measured_holds_for_the_machine_and_what_is_set_there(tmp_path: Path) -> None:
    usual = machine_of(Settings(data_dir=tmp_path))
    assert usual == machine_of(Settings(data_dir=tmp_path, model=SMALL))
    threads, precision = (
        machine_of(Settings(data_dir=tmp_path, threads=3)),
        machine_of(Settings(data_dir=tmp_path, precision="float32")),
    )
    assert len({usual, threads, precision}) == 3
