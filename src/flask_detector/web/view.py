"""What of a result is shown, as the address says it: ``?score=0.5&off=chair&off=couch&hide=labels``."""

import math
from dataclasses import dataclass
from typing import Self

from werkzeug.datastructures import MultiDict

from flask_detector.detections import Detections
from flask_detector.errors import BadParameter

PARTS = frozenset({"boxes", "masks", "labels"})


@dataclass(frozen=True)
class View:
    """What is shown.

    score: the lowest one, in 0..1; None for the usual one.
    off: labels that are left out.
    hidden: which of boxes, masks and labels are not drawn.
    """

    score: float | None = None
    off: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: "MultiDict[str, str]") -> Self:
        """Return the view of an address; raises BadParameter."""
        return cls(
            score=score_of(query.get("score"), "score"),
            off=frozenset(query.getlist("off")),
            hidden=PARTS.intersection(query.getlist("hide")),
        )

    def filter(self, found: Detections, shown_score: float) -> Detections:
        """Return the instances that are shown; `shown_score` is the usual lowest one."""
        return found.over(shown_score if self.score is None else self.score).without(self.off)


def score_of(text: str | None, name: str) -> float | None:
    """Return a score that a user wrote, or None where there is none; raises BadParameter, which names it."""
    if text is None or not text.strip():
        return None
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise BadParameter(f"{name} is {text[:20]!r}.", hint="It must be a number from 0 to 1, such as 0.5.")
    return score
