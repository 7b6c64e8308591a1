from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.web.core.batch_summary import Summary, summary_of
from flask_detector.web.core.service import Service
from flask_detector.web.core.view import View

LABELS = ["person", "=car"]
USUAL = View()


def record(name: str, status: JobStatus = JobStatus.DONE) -> Record:
    now, picture = datetime.now(UTC), PictureInfo("JPEG", "image/jpeg", 200, 100, None)
    return Record(
        name,
        status,
        name,
        picture,
        "auto",
        None,
        None,
        None,
        "rle",
        now,
        None,
        None,
        now,
        None,
        None,
        None,
        None,
        None,
        None,
    )


def form(*found: tuple[int, float], shown_score: float = 0.35) -> dict[str, Any]:
    instances = [
        {"label": LABELS[class_id], "class_id": class_id, "score": score, "box": [20, 10, 60, 50]}
        for class_id, score in found
    ]
    return {"width": 200, "height": 100, "instances": instances, "shown_score": shown_score}


RECORDS = [
    record("写10.jpg"),
    record("写2.jpg"),
    record("+b.jpg", JobStatus.QUEUED),
    record("a.jpg", JobStatus.FAILED),
]
RESULTS = {"写10.jpg": form((0, 0.9), (1, 0.5), (0, 0.2)), "写2.jpg": form((1, 1.0), (1, 0.4), (1, 0.36))}


def summary(view: View = USUAL, sort: str = "sent") -> Summary:
    jobs = SimpleNamespace(result_forms=lambda ids, corrected: ((id, RESULTS[id]) for id in ids))
    return summary_of(cast(Service, SimpleNamespace(jobs=jobs)), RECORDS, view, sort)


def test_each_picture_counts_what_its_models_default_shows() -> None:
    found = summary()
    assert [card.counts for card in found.cards] == [{"=car": 1, "person": 1}, {"=car": 3}, None, None]
    assert [(total.label, total.number) for total in found.classes] == [("=car", 4), ("person", 1)]
    assert found.number == 5


def test_one_minimum_score_and_one_class_hold_for_all_pictures() -> None:
    found = summary(View(0.1, only=frozenset({"person", "dog"})))
    assert [card.number for card in found.cards] == [2, 0, 0, 0]
    assert [(total.label, total.number, total.is_shown) for total in found.classes] == [
        ("=car", 4, False),
        ("person", 2, True),
        ("dog", 0, True),
    ]
    assert [(i, number) for i, number in enumerate(found.scores) if number] == [(4, 1), (18, 1)]


def test_no_two_classes_of_a_batch_have_one_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"class {i}" for i in range(30)]
    monkeypatch.setitem(RESULTS, "写10.jpg", form())
    monkeypatch.setitem(globals(), "LABELS", many)
    monkeypatch.setitem(RESULTS, "写2.jpg", form(*((i, 0.9) for i in range(30))))
    classes = summary(View(only=frozenset(many))).classes
    assert len({total.colour for total in classes}) == len(classes) == 30


def test_the_best_score_is_in_the_last_bar() -> None:
    assert summary(View(only=frozenset({"=car"}))).scores[-1] == 1


def test_outlines_are_on_a_grid_of_the_pictures_shape() -> None:
    card = summary(View(0.5, only=frozenset({"person"}))).cards[0]
    assert (card.size, [path for *_, path in card.outlines]) == ((400, 200), ["M40 20H120V100H40z"])


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("sent", ["写10.jpg", "写2.jpg", "+b.jpg", "a.jpg"]),
        ("name", ["+b.jpg", "a.jpg", "写2.jpg", "写10.jpg"]),
        ("objects", ["写2.jpg", "写10.jpg", "+b.jpg", "a.jpg"]),
        ("state", ["a.jpg", "+b.jpg", "写10.jpg", "写2.jpg"]),
        ("nonsense", ["写10.jpg", "写2.jpg", "+b.jpg", "a.jpg"]),
    ],
)
def test_pictures_are_sorted_as_asked(sort: str, order: list[str]) -> None:
    assert [card.record.filename for card in summary(sort=sort).cards] == order


def test_the_table_has_a_line_a_picture_and_no_formula() -> None:
    assert summary().to_csv().splitlines() == [
        "file,state,corrected,objects,'=car,person",
        "写10.jpg,done,false,2,1,1",
        "写2.jpg,done,false,3,3,0",
        "'+b.jpg,queued,false,,,",
        "a.jpg,failed,false,,,",
    ]
