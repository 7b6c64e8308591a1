from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flask_detector.formats.supervision import from_supervision


def theirs(**changes: object) -> Any:
    """What supervision.Detections has, which is tested with the real one in test_readers.py."""
    fields: dict[str, Any] = {
        "xyxy": np.array([[1, 2, 3, 4], [5, 6, 70, 8]], np.float64),
        "mask": None,
        "confidence": np.array([0.2, 0.9]),
        "class_id": np.array([0, 1]),
        "metadata": {},
    }
    return SimpleNamespace(**{**fields, **changes})


def test_they_are_put_in_order_and_into_the_picture() -> None:
    found = from_supervision(theirs(), width=64, height=48, labels=("a", "b"), model="m")
    assert [(one.label, one.box) for one in found] == [("b", (5, 6, 64, 8)), ("a", (1, 2, 3, 4))]


def test_what_they_do_not_tell_must_be_given() -> None:
    with pytest.raises(ValueError, match="give height, labels, model"):
        from_supervision(theirs(), width=64)


@pytest.mark.parametrize("missing", ["confidence", "class_id"])
def test_without_scores_or_classes_they_are_no_detections(missing: str) -> None:
    with pytest.raises(ValueError, match="no scores or no classes"):
        from_supervision(
            theirs(**{missing: None}),
            width=64,
            height=48,
            labels=("a", "b"),
            model="m",
        )
