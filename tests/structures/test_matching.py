import numpy as np
import pytest

from flask_detector.structures.detections import Detections
from flask_detector.structures.matching import Pair, match, pairs_of

LABELS = ("cat", "dog")
Found = tuple[str, float, tuple[float, float, float, float]]


def found(*instances: Found, labels: tuple[str, ...] = LABELS) -> Detections:
    return Detections(
        width=100,
        height=100,
        boxes=np.array([box for _, _, box in instances], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in instances], np.float32),
        class_ids=np.array([labels.index(label) for label, _, _ in instances], np.int64),
        labels=labels,
        model="a model",
    )


def shown(result: Detections, score: float = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    lit: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = result.scores >= score
    return lit


def test_boxes_that_overlap_by_half_match_and_those_that_do_so_by_less_do_not() -> None:
    left = found(("cat", 0.9, (0, 0, 30, 10)))
    half, less = found(("cat", 0.8, (0, 0, 15, 10))), found(("cat", 0.8, (0, 0, 14, 10)))
    assert pairs_of(left, half) == [Pair(0, 0, same_label=True)]
    assert pairs_of(left, less) == []


def test_labels_are_told_by_their_names_whatever_their_numbers_are() -> None:
    left = found(("dog", 0.9, (0, 0, 30, 10)))
    right = found(("dog", 0.8, (0, 0, 30, 10)), labels=("person", "tree", "dog"))
    assert match(pairs_of(left, right), shown(left), shown(right)).same == [Pair(0, 0, same_label=True)]


def test_one_of_the_same_label_is_preferred_to_one_that_overlaps_more() -> None:
    left = found(("cat", 0.9, (0, 0, 30, 10)))
    right = found(("dog", 0.9, (0, 0, 30, 10)), ("cat", 0.3, (0, 0, 25, 10)))
    matches = match(pairs_of(left, right), shown(left), shown(right))
    assert matches.same == [Pair(0, 1, same_label=True)]
    assert (matches.other_label, matches.only_left, matches.only_right) == ([], [], [0])
    over = match(pairs_of(left, right), shown(left), shown(right, 0.5))
    assert (over.other_label, over.only_right) == ([Pair(0, 0, same_label=False)], [])


def test_of_two_that_want_the_same_one_the_nearer_gets_it() -> None:
    left = found(("cat", 0.9, (0, 0, 20, 10)), ("cat", 0.8, (0, 0, 29, 10)))
    right = found(("cat", 0.7, (0, 0, 30, 10)))
    matches = match(pairs_of(left, right), shown(left), shown(right))
    assert (matches.same, matches.only_left) == ([Pair(1, 0, same_label=True)], [0])


@pytest.mark.parametrize("turned", [False, True])
def test_where_one_found_nothing_all_is_the_others_alone(turned: bool) -> None:
    one, none = found(("cat", 0.9, (0, 0, 20, 10)), ("dog", 0.8, (50, 50, 60, 60))), found()
    left, right = (none, one) if turned else (one, none)
    matches = match(pairs_of(left, right), shown(left), shown(right))
    assert (matches.only_right if turned else matches.only_left) == [0, 1]
    assert matches.same == matches.other_label == []
