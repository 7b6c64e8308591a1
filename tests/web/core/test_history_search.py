import pytest
from werkzeug.datastructures import MultiDict

from flask_detector.jobs.listing import Listed
from flask_detector.jobs.states import JobStatus
from flask_detector.web.core.history_search import Search, entries

DONE, FAILED, QUEUED = JobStatus.DONE, JobStatus.FAILED, JobStatus.QUEUED

HISTORY = [
    Listed("1", QUEUED, "Straße.jpg", None, None, None),
    Listed("2", DONE, "写真 2.png", "nanodet-g", {"person": 2, "traffic light": 1}, "b"),
    Listed("3", DONE, "Cafe\u0301.webp", "mask-rcnn", {"cup": 3}, "b"),
    Listed("4", FAILED, "ΣΊΣΥΦΟΣ.jpg", None, None, "b"),
    Listed("5", DONE, "empty.jpg", "nanodet-g", {}, "alone"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "12345"),
        ("q=STRASSE", "1"),
        ("q=写", "2"),
        ("q=Café", "3"),
        ("q=σίσυφος", "4"),
        ("q=light traffic", "2"),
        ("q=2 persons", "2"),
        ("q=png person", "2"),
        ("q=mask", "3"),
        ("q=nothing", ""),
        ("q=.", "12345"),
        ("label=cup", "3"),
        ("label=cu", ""),
        ("model=nanodet-g", "25"),
        ("model=nanodet-g&q=empty", "5"),
        ("state=failed", "4"),
        ("state=unfinished", "1"),
        ("state=no such one", "12345"),
        ("state=done&label=person&model=nanodet-g&q=2", "2"),
    ],
)
def test_a_search_finds_by_name_object_model_and_state_in_any_script(query: str, found: str) -> None:
    parts = MultiDict([(name, text) for name, _, text in (part.partition("=") for part in query.split("&"))])
    search = Search.of(parts)
    assert "".join(one.id for one in search.of_all(HISTORY)) == found
    assert Search.of(MultiDict(search.query)) == search


def test_what_was_sent_together_is_one_card_where_its_newest_picture_stood() -> None:
    cards = entries(HISTORY)
    assert [(card.batch, [one.id for one in card.listed]) for card in cards] == [
        (None, ["1"]),
        ("b", ["2", "3", "4"]),
        (None, ["5"]),
    ]
    batch = cards[1]
    assert (batch.first.id, batch.ended, batch.in_state("failed")) == ("3", 3, 1)
    assert batch.models == ["nanodet-g", "mask-rcnn"]
    assert batch.counts == {"cup": 3, "person": 2, "traffic light": 1}
    assert cards[0].counts is None
    assert cards[2].counts == {}


def test_to_correct_next_is_what_the_model_is_least_sure_of() -> None:
    listed = [
        Listed(str(n), DONE, "a.jpg", "nanodet-g", {}, None, doubt) for n, doubt in enumerate((0.5, 0, 2))
    ]
    search = Search.of(MultiDict({"order": "unsure"}))
    assert [one.id for one in search.of_all(listed)] == ["2", "0"]
    assert search.query == {"order": "unsure"}
