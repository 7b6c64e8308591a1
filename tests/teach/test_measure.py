import numpy as np
import pytest

from flask_detector.teach.measure import calibrated_by_others, figures, mistakes, shifted, shifts
from tests.support.examples import example, found

CLASSES = ("brick", "tile")
HERE, NEARLY, THERE = (10, 10, 40, 40), (12, 10, 42, 40), (50, 10, 90, 40)
PICTURES = [example("a", (0, HERE), (1, THERE)), example("b", (0, HERE))]


def test_figures_are_those_of_coco_with_precision_and_recall_at_the_suggested_score() -> None:
    answers = [
        found(("brick", 0.9, NEARLY), ("tile", 0.3, THERE)),
        found(("brick", 0.8, THERE), ("brick", 0.5, HERE), ("bird", 0.9, HERE)),
    ]

    measured = figures(PICTURES, answers, CLASSES, min_score=0.35)

    brick, tile, together = measured["brick"], measured["tile"], measured[""]
    assert brick.ap50 == pytest.approx(0.835, abs=0.01)
    assert [brick.precision, brick.recall] == pytest.approx([2 / 3, 1])
    assert (tile.ap50, tile.precision, tile.recall) == (1, None, 0)
    assert together.ap50 == pytest.approx((brick.ap50 or 0) / 2 + 0.5)
    assert [together.precision, together.recall] == pytest.approx([2 / 3, 2 / 3])


def test_an_object_is_found_once() -> None:
    twice = [found(("brick", 0.9, HERE), ("brick", 0.8, NEARLY))]

    assert figures(PICTURES[1:], twice, CLASSES, min_score=0.35)["brick"].precision == 0.5
    assert mistakes(PICTURES[1], twice[0], CLASSES, min_score=0.35) == 1


def test_scores_are_shifted_so_that_the_best_one_to_show_is_the_suggested_one() -> None:
    answers = [found(("brick", 0.6, HERE), ("brick", 0.5, THERE)), found(("brick", 0.55, HERE))]

    added = shifts(PICTURES, answers, CLASSES, suggested=0.35)
    moved = [shifted(one, CLASSES, added) for one in answers]

    assert moved[1].scores.tolist() == [pytest.approx(0.35)]
    assert added[1] == 0  # of tiles nothing was found
    assert figures(PICTURES, moved, CLASSES, min_score=0.35)["brick"].precision == 1
    np.testing.assert_array_equal(moved[0].boxes, answers[0].boxes)


def test_precision_and_recall_are_at_scores_that_other_pictures_have_chosen() -> None:
    answers = [found(("brick", 0.6, HERE)), found(("brick", 0.5, HERE))]

    calibrated = calibrated_by_others(PICTURES, answers, CLASSES, suggested=0.35)
    brick = figures(PICTURES, answers, CLASSES, min_score=0.35, calibrated=calibrated)["brick"]

    # At 0.5, which the second has chosen, the first one's is found; at 0.6, not the second one's.
    assert (brick.precision, brick.recall, brick.ap50) == (1, 0.5, 1)
    alone = calibrated_by_others(PICTURES[:1], answers[:1], CLASSES, suggested=0.35)
    np.testing.assert_allclose(alone[0].scores, answers[0].scores)


def test_a_suggestion_by_chance_is_bounded() -> None:
    answers = [found(("brick", 0.99, HERE)), found(("brick", 0.98, HERE))]

    moved = shifted(answers[0], CLASSES, shifts(PICTURES, answers, CLASSES, suggested=0.35))

    assert moved.scores[0] > 0.9
