"""What a view shows of all pictures of a batch: counts, totals, scores, the order of the pictures."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_detector.formats.csv_table import spreadsheet_text
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.outlines import grid_of, outline_of
from flask_detector.visualization.colors import Colour, colour_of, colours_of
from flask_detector.web.core.service import Service
from flask_detector.web.core.view import SCORE_BARS, View

# What pictures can be sorted by, and its name for people.
SORTS = {"sent": "as sent", "name": "name", "objects": "most objects", "state": "state"}

# What needs a look comes first.
_STATES = [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.DONE]


@dataclass(frozen=True)
class Card:
    """What the view shows of one picture.

    counts: instances by label, most first; None unless it is done.
    size: width and height of the grid that the outlines are on.
    outlines: the boxes of each label, with its colour and the data of one SVG path.
    """

    record: Record
    counts: dict[str, int] | None = None
    size: tuple[int, int] = (1, 1)
    outlines: tuple[tuple[str, Colour, str], ...] = ()

    @property
    def number(self) -> int:
        """How many objects are shown."""
        return sum((self.counts or {}).values())


@dataclass(frozen=True)
class ClassTotal:
    """A class in all pictures, and its objects of at least the minimum score, shown or not."""

    label: str
    colour: Colour
    number: int
    is_shown: bool


@dataclass(frozen=True)
class Summary:
    """A batch under a view.

    cards: in the order asked for.
    classes: most objects first.
    scores: the objects of the shown classes by score, whatever the minimum is, in bars.
    lowest: the lowest score that is shown of a picture.
    """

    cards: list[Card]
    classes: list[ClassTotal]
    scores: list[int]
    lowest: float

    @property
    def number(self) -> int:
        """How many objects are shown."""
        return sum(card.number for card in self.cards)

    def in_state(self, *states: JobStatus) -> int:
        """Return how many pictures are in one of these states."""
        return sum(card.record.status in states for card in self.cards)

    def to_csv(self) -> str:
        """Return a line for each picture, with a column for each class that is shown (RFC 4180)."""
        labels = [total.label for total in self.classes if total.is_shown and total.number]
        file = io.StringIO(newline="")
        lines = csv.writer(file)
        lines.writerow(["file", "state", "corrected", "objects", *map(spreadsheet_text, labels)])
        for card in self.cards:
            counts = [""] * (1 + len(labels))
            if card.counts is not None:
                counts = [str(card.number), *(str(card.counts.get(label, 0)) for label in labels)]
            corrected = str(card.record.correction is not None).lower()
            lines.writerow(
                [spreadsheet_text(card.record.filename), card.record.status.value, corrected, *counts]
            )
        return file.getvalue()


def summary_of(service: Service, records: Sequence[Record], view: View, sort: str = "sent") -> Summary:
    """Return what a view shows of the pictures; `sort` is a key of SORTS, or else as sent.

    Results are read one after the other: with masks, all of them are large.
    """
    found: dict[str, tuple[list[dict[str, Any]], int, int]] = {}
    class_ids: dict[str, int] = {}
    totals: Counter[str] = Counter()
    scores = [0] * SCORE_BARS
    minimums: set[float] = set()
    done = [record.id for record in records if record.status is JobStatus.DONE]
    for id, form in service.jobs.result_forms(done, corrected=view.corrected):
        lowest = view.lowest(form["shown_score"])
        minimums.add(lowest)
        shown = []
        for one in form["instances"]:
            is_shown = view.shows(one["label"])
            if is_shown:
                scores[min(int(one["score"] * SCORE_BARS), SCORE_BARS - 1)] += 1
            if one["score"] >= lowest:
                class_ids.setdefault(one["label"], one["class_id"])
                totals[one["label"]] += 1
                if is_shown:
                    shown.append({"label": one["label"], "box": one["box"]})
        found[id] = shown, form["width"], form["height"]
    numbers = _most_first(totals)
    by_id = colours_of(class_ids[label] for label in numbers)
    colours = {label: by_id[class_ids[label]] for label in numbers}
    cards = [
        _card(record, *found[record.id], colours) if record.id in found else Card(record)
        for record in records
    ]
    # A class that is asked for stays among the choices when none is left of it.
    asked = {label: 0 for label in sorted(view.only) if label not in numbers}
    classes = [
        ClassTotal(label, colours.get(label, colour_of(0)), number, view.shows(label))
        for label, number in {**numbers, **asked}.items()
    ]
    return Summary(_sorted(cards, sort), classes, scores, min(minimums, default=0.0))


def _card(
    record: Record, shown: list[dict[str, Any]], width: int, height: int, colours: dict[str, Colour]
) -> Card:
    paths: dict[str, list[str]] = {}
    for one in shown:
        paths.setdefault(one["label"], []).append(outline_of(one["box"], width, height))
    return Card(
        record,
        _most_first(Counter(one["label"] for one in shown)),
        grid_of(width, height),
        tuple((label, colours[label], "".join(parts)) for label, parts in paths.items()),
    )


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _sorted(cards: list[Card], sort: str) -> list[Card]:
    match sort:
        case "name":
            return sorted(cards, key=lambda card: _natural(card.record.filename))
        case "objects":
            return sorted(cards, key=lambda card: -card.number)
        case "state":
            return sorted(cards, key=lambda card: _STATES.index(card.record.status))
        case _:
            return cards


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]
