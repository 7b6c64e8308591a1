import pytest

from flask_detector.structures.doubt import doubt


@pytest.mark.parametrize(
    ("scores", "number"),
    [
        ([], 0),
        ([0.35], 1),
        ([0.0, 0.7, 0.99], 0),
        ([0.35, 0.35, 0.9], 2),
        ([0.175, 0.525], 1),
    ],
)
def test_what_is_near_the_score_that_is_shown_is_in_doubt(scores: list[float], number: float) -> None:
    assert doubt(scores, 0.35) == pytest.approx(number)


def test_a_score_of_nothing_divides_by_nothing() -> None:
    assert doubt([0.0, 1.0], 0.0) == 0
