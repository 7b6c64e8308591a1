"""Deleting pictures so that it can be undone: hidden at once, gone in a while, and never half."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from flask_detector.collections import deletions
from flask_detector.collections.deletions import Deletions
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections


@pytest.fixture
def deleting(store: Collections) -> Deletions:
    return Deletions(store)


def token_of(store: Collections, id: str) -> str:
    ((token, _, seconds),) = deletions.recent(store.find(id))
    assert 0 < seconds <= 10
    return token


def test_deleted_pictures_are_hidden_at_once_and_there_again_when_that_is_undone(
    deleting: Deletions, store: Collections, pictures: Pictures, id: str, add: Callable[..., str]
) -> None:
    first, second = add("a.jpg"), add("b.jpg")
    before = pictures.entries(id), store.sums(id)
    deleting.later(id, [first, "0" * 32])
    assert [entry.id for entry in pictures.entries(id)] == [second]
    assert store.sums(id).pictures == 1
    assert deleting.undo(id, token_of(store, id))
    assert (pictures.entries(id), store.sums(id)) == before
    assert not deleting.undo(id, "x")


def test_what_can_not_be_undone_any_more_is_deleted(
    deleting: Deletions, store: Collections, pictures: Pictures, id: str, add: Callable[..., str],
    folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first, second = add("a.jpg"), add("b.jpg")
    deleting.later(id, [first])
    token = token_of(store, id)
    monkeypatch.setattr("flask_detector.collections.deletions.UNDO_SECONDS", 0)
    monkeypatch.setattr("flask_detector.collections.comparison.UNDO_SECONDS", 0)
    assert not deleting.undo(id, token)
    store.comparison.compare(id)
    assert list(folder.rglob(f"{first}*")) == []
    assert len(list(folder.rglob(f"{second}*"))) == 2
    assert store.find(id).deletions == {}
    assert [entry.id for entry in pictures.entries(id)] == [second]


def test_what_is_deleted_stays_so_without_redis_and_can_be_undone(
    deleting: Deletions, store: Collections, pictures: Pictures, id: str, add: Callable[..., str],
    connection: redis.Redis,
) -> None:  # fmt: skip
    add("a.jpg")
    deleting.later(id, [add("b.jpg")])
    connection.flushall()
    assert [entry.file_name for entry in pictures.entries(id)] == ["a.jpg"]
    assert deleting.undo(id, token_of(store, id))
    assert len(pictures.entries(id)) == 2


def test_a_picture_that_is_added_again_is_no_longer_deleted(
    deleting: Deletions, store: Collections, pictures: Pictures, id: str, add: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    deleting.later(id, [add("a.jpg"), add("b.jpg")])
    add("a.jpg")
    monkeypatch.setattr("flask_detector.collections.comparison.UNDO_SECONDS", 0)
    store.comparison.compare(id)
    assert [entry.file_name for entry in pictures.entries(id)] == ["a.jpg"]
    assert store.find(id).deletions == {}
