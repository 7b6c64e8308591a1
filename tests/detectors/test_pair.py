from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from flask_detector.detectors.pair import joined
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

BASE, TAUGHT = ("car", "bird"), ("wagon", "penguin")
HERE, NEARLY, THERE = (10, 10, 50, 50), (11, 10, 51, 50), (60, 60, 90, 90)


def found(labels: tuple[str, ...], *objects: tuple[str, float, Sequence[int]]) -> Detections:
    return Detections.from_unordered(
        np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in objects], np.float32),
        np.array([labels.index(label) for label, _, _ in objects], np.int64),
        width=100,
        height=100,
        labels=labels,
        model="base",
    )


@pytest.mark.parametrize(
    ("base", "taught", "kept"),
    [
        (("bird", 0.5, HERE), ("wagon", 0.6, NEARLY), {"wagon"}),
        (("bird", 0.6, HERE), ("wagon", 0.5, NEARLY), {"bird"}),
        (("bird", 0.6, HERE), ("wagon", 0.5, THERE), {"bird", "wagon"}),
        (("bird", 0.9, HERE), ("penguin", 0.4, NEARLY), {"penguin"}),
        (("bird", 0.9, HERE), ("penguin", 0.3, NEARLY), {"bird"}),
    ],
    ids=["the surer one", "of either", "both elsewhere", "the one that replaces", "not where it is unsure"],
)
def test_of_two_that_find_one_object_stays(
    base: tuple[str, float, Sequence[int]], taught: tuple[str, float, Sequence[int]], kept: set[str]
) -> None:
    both = joined(found(BASE, base), found(TAUGHT, taught), {"penguin": ["bird"]}, sure=0.35)

    assert set(both.counts()) == kept


def test_what_a_taught_box_has_beaten_stays_if_that_one_goes_too() -> None:
    base = found(BASE, ("bird", 0.3, HERE), ("car", 0.9, (12, 10, 52, 50)))

    both = joined(base, found(TAUGHT, ("wagon", 0.5, NEARLY)), {}, sure=0.35)

    assert both.counts() == {"bird": 1, "car": 1}
    assert replace(both, labels=base.labels).to_json() == base.to_json()


def test_masks_go_with_their_objects() -> None:
    def masked(one: Detections) -> Detections:
        masks = [Mask.from_bitmap(np.ones((y2 - y1, x2 - x1), bool), x=x1, y=y1)
                 for x1, y1, x2, y2 in one.boxes.astype(int).tolist()]  # fmt: skip
        return replace(one, masks=tuple(masks))

    base = masked(found(BASE, ("bird", 0.3, HERE), ("car", 0.9, THERE)))

    both = joined(base, masked(found(TAUGHT, ("wagon", 0.5, NEARLY))), {}, sure=0.35)

    assert both.masks is not None
    assert [(mask.x, mask.y) for mask in both.masks if mask] == [(60, 60), (11, 10)]
