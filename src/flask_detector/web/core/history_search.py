"""A search in a history, from the query of a URL, and what a page of the history shows."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from werkzeug.datastructures import MultiDict

from flask_detector.jobs.listing import Listed
from flask_detector.jobs.states import UNFINISHED, JobStatus
from flask_detector.structures.doubt import unsure_first
from flask_detector.structures.labels import plural

# What can be asked for, its name for people, and the states of the detections that are meant.
STATES = {
    "done": ("done", {JobStatus.DONE}),
    "unfinished": ("waiting or running", UNFINISHED),
    "failed": ("failed", {JobStatus.FAILED}),
    "cancelled": ("cancelled", {JobStatus.CANCELLED}),
}


@dataclass(frozen=True)
class Search:
    """What is looked for; each part that is empty finds all.

    words: each is in the file's name, a label, in singular or plural, or the model's name, in any case.
    label, model: of an object that is shown, and the model that found it.
    state: a key of STATES.
    is_unsure_first: of those that nobody has corrected the ones that the model is least sure of come first.
    """

    words: str = ""
    label: str = ""
    model: str = ""
    state: str = ""
    is_unsure_first: bool = False

    @classmethod
    def of(cls, query: MultiDict[str, str]) -> Self:
        """Return what a query asks for: ``q``, ``label``, ``model``, ``state``, and ``order=unsure``."""
        state = query.get("state", "")
        return cls(
            query.get("q", "").strip(),
            query.get("label", "").strip(),
            query.get("model", "").strip(),
            state if state in STATES else "",
            query.get("order") == "unsure",
        )

    @property
    def query(self) -> dict[str, str]:
        """The query that asks for it."""
        parts = {"q": self.words, "label": self.label, "model": self.model, "state": self.state}
        parts |= {"order": "unsure" if self.is_unsure_first else ""}
        return {name: value for name, value in parts.items() if value}

    def of_all(self, listed: Sequence[Listed]) -> list[Listed]:
        """Return those detections that are found, in the order in which they are shown."""
        words = folded(self.words).split()
        found = [one for one in listed if self._finds(one, words)]
        if self.is_unsure_first:
            found = unsure_first(found, lambda one: one.doubt)
        return found

    def _finds(self, one: Listed, words: list[str]) -> bool:
        if self.state and one.status not in STATES[self.state][1]:
            return False
        if (self.model and self.model != one.model) or (self.label and self.label not in (one.counts or {})):
            return False
        if not words:
            return True
        labels = one.counts or {}
        counted = [plural(label, 2) for label in labels]
        text = folded("\n".join([one.filename, one.model or "", *labels, *counted]))
        return all(word in text for word in words)


@dataclass(frozen=True)
class Entry:
    """What stands on one card: a detection, or all that was sent together with it, newest first."""

    listed: Sequence[Listed]

    @property
    def batch(self) -> str | None:
        """The id of the batch; None for a detection that is alone."""
        return self.listed[0].batch if len(self.listed) > 1 else None

    @property
    def first(self) -> Listed:
        """The detection that is shown: the first one sent, of those with objects if there are any."""
        sent = self.listed[::-1]
        return next((one for one in sent if one.counts), sent[0])

    @property
    def ended(self) -> int:
        """How many have ended, well or not."""
        return sum(one.status.is_final for one in self.listed)

    @property
    def models(self) -> list[str]:
        """The models that were used."""
        return list(dict.fromkeys(one.model for one in self.listed if one.model))

    @property
    def counts(self) -> dict[str, int] | None:
        """Instances by label, most first; None while nothing is done."""
        if not any(one.status is JobStatus.DONE for one in self.listed):
            return None
        total: Counter[str] = Counter()
        for one in self.listed:
            total.update(one.counts or {})
        return dict(total.most_common())

    def in_state(self, state: str) -> int:
        """Return how many are in a state."""
        return sum(one.status == state for one in self.listed)


def entries(listed: Sequence[Listed]) -> list[Entry]:
    """Return one entry for each batch and each other detection, where the newest of it stood."""
    groups: dict[str, list[Listed]] = {}
    for one in listed:
        groups.setdefault(one.batch or one.id, []).append(one)
    return [Entry(group) for group in groups.values()]


def folded(text: str) -> str:
    """Return a text as it is compared: in whatever case, width and composition of accents it was written."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
