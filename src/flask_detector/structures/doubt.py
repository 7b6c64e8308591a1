"""How sure a model is of a picture, by the scores of what it found there."""

from collections.abc import Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


def doubt(scores: Iterable[float], shown_score: float) -> float:
    """Return about how many objects of a picture are in doubt, whether shown or not, to two decimals.

    One at the lowest score that is shown counts whole, one at half of it or half above it nothing: a person
    learns most from those near the line, and so does the model from what the person says of them. Further
    below it is the clutter that some models find by the hundred in every picture.

    scores: of all that was found, in 0..1. shown_score: the lowest one that is shown.
    """
    lowest = max(shown_score, 0.01)
    return round(sum(max(0.0, 1 - 2 * abs(score - lowest) / lowest) for score in scores), 2)


def unsure_first(pictures: Iterable[_T], doubt_of: Callable[[_T], float]) -> list[_T]:
    """Return the pictures of which a model is in doubt, most first; in their order where it is equally so."""
    return sorted((one for one in pictures if doubt_of(one)), key=doubt_of, reverse=True)
