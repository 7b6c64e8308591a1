"""How sure a model is of a picture, by the scores of what it found there."""

from collections.abc import Iterable


def doubt(scores: Iterable[float], shown_score: float) -> float:
    """Return about how many objects of a picture are in doubt, whether shown or not.

    One at the lowest score that is shown counts whole, one at 0 or at twice that score nothing: a person
    learns most from those near the line, and so does the model from what the person says of them.

    scores: of all that was found, in 0..1. shown_score: the lowest one that is shown.
    """
    lowest = max(shown_score, 0.01)
    return sum(max(0.0, 1 - abs(score - lowest) / lowest) for score in scores)
