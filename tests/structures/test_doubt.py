import pytest

from flask_detector.structures.doubt import doubt, unsure_first


@pytest.mark.parametrize(
    ("scores", "number"),
    [
        ([], 0),
        ([0.35], 1),
        ([0.0, 0.175, 0.525, 0.99], 0),
        ([0.35, 0.35, 0.9], 2),
        ([0.2625, 0.4375], 1),
    ],
)
def test_what_is_near_the_score_that_is_shown_is_in_doubt(scores: list[float], number: float) -> None:
    assert doubt(scores, 0.35) == pytest.approx(number)


def test_pictures_come_by_doubt_and_else_in_their_order_without_those_of_no_doubt() -> None:
    doubts = {"a": 1.0, "b": 0.0, "c": 2.0, "d": 1.0}
    assert unsure_first(doubts, doubts.__getitem__) == ["c", "a", "d"]


def test_a_score_of_nothing_divides_by_nothing() -> None:
    assert doubt([0.0, 1.0], 0.0) == 0
