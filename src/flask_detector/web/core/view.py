"""What of a result is shown, from the query of a URL: the same for pages, drawn pictures and exports."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from werkzeug.datastructures import MultiDict

from flask_detector.errors import BadParameter
from flask_detector.structures.detections import Detections

SCORE_BARS = 20
"""Bars of a histogram of scores, of equal width over 0..1."""


@dataclass(frozen=True)
class View:
    """A choice of instances and of what is drawn of each.

    min_score: the lowest score, in 0..1; None for the default.
    off: labels that are left out.
    only: the labels that alone are shown; empty for all.
    hide: of "boxes", "masks" and "labels" those that are not drawn.
    corrected: whether a result is shown as a person has corrected it, if one has, or as the model said.
    """

    min_score: float | None = None
    off: frozenset[str] = frozenset()
    hide: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    corrected: bool = True

    @classmethod
    def of(cls, query: MultiDict[str, str]) -> Self:
        """Return the view that a query asks for.

        That is ``score``, any number of ``off``, ``hide`` and ``only``, and ``corrected=false``.

        Raises BadParameter for a score that is none.
        """
        return cls(
            score(query.get("score"), name="score"),
            frozenset(query.getlist("off")),
            frozenset(query.getlist("hide")),
            frozenset(query.getlist("only")),
            query.get("corrected") != "false",
        )

    def of_result(self, found: Detections, shown_score: float) -> Detections:
        """Return the instances that the view shows; `shown_score` is the default minimum score."""
        return found.over(self.lowest(shown_score)).without(self.without_only(found.labels).off)

    def lowest(self, shown_score: float) -> float:
        """Return the minimum score, of a result whose default is `shown_score`."""
        return shown_score if self.min_score is None else self.min_score

    def shows(self, label: str) -> bool:
        """Return whether instances of a class are shown."""
        return label not in self.off and (not self.only or label in self.only)

    def without_only(self, labels: Iterable[str]) -> Self:
        """Return the view that says the same of these labels by those that are left out."""
        hidden = {label for label in labels if not self.shows(label)}
        return replace(self, off=self.off | hidden, only=frozenset())


def score(text: str | None, *, name: str) -> float | None:
    """Return the score that a parameter says, in 0..1; None for one that is missing or empty.

    Raises BadParameter, which names the parameter.
    """
    if text is None or not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise BadParameter(f"{name} is {text[:20]!r}.", hint="It must be a number from 0 to 1, such as 0.5.")
    return number
