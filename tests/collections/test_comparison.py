"""The index and the files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from flask_detector.collections.documents import Rights, State
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections
from flask_detector.errors import UnknownPicture
from flask_detector.structures.revisions import ANY
from tests.support.collected import OF_PERSON, OWNER, annotations


def test_redis_losing_everything_loses_nothing(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str], connection: redis.Redis
) -> None:
    add("a.jpg")
    pid = add("b.jpg", OF_PERSON)
    token = store.share(id, Rights.READ)
    pictures.correct(id, pid, annotations(OF_PERSON, verified=True), replaces={ANY}, by="me")
    before = pictures.entries(id), store.owned_by(OWNER), pictures.document(id, pid)
    connection.flushall()
    assert (pictures.entries(id), store.owned_by(OWNER), pictures.document(id, pid)) == before
    assert store.of_link(token)[0].id == id
    assert store.owned_by(OWNER)[0][1].states == {State.UNSEEN: 1, State.EDITED: 0, State.VERIFIED: 1}


def test_an_index_that_is_older_than_the_files_is_made_right(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str], connection: redis.Redis
) -> None:
    old, pid = add("a.jpg"), add("b.jpg")
    keys = list(connection.scan_iter("flask-detector:collection*", _type="hash"))
    copies = [connection.dump(key) for key in keys]
    pictures.correct(id, pid, annotations(OF_PERSON), replaces={ANY}, by="me")
    pictures.remove(id, [old])
    after = pictures.entries(id), store.owned_by(OWNER)
    for key, copy in zip(keys, copies, strict=True):
        connection.restore(key, 0, copy, replace=True)  # type: ignore[arg-type]  # typed as str
    store.comparison.compare(id)
    assert (pictures.entries(id), store.owned_by(OWNER)) == after


def test_files_of_others_and_files_that_are_gone_are_passed_over(
    store: Collections,
    pictures: Pictures,
    id: str,
    add: Callable[..., str],
    folder: Path,
    connection: redis.Redis,
) -> None:
    stays, gone, broken = add("a.jpg"), add("b.jpg"), add("c.jpg")
    place = folder / "collections" / id
    (place / "pictures" / f"{gone}.jpg").unlink()
    (place / "annotations" / f"{broken}.json").write_text("[1, 2")
    for name in ("notes.txt", ".hidden", "0123.json", f"{'0' * 32}.json", f"{'1' * 32}.jpg"):
        (place / "pictures" / name).write_text("foreign")
        (place / "annotations" / name).write_text("{}")
    (folder / "collections" / "my own folder").mkdir()
    (folder / "collections" / ("0" * 32)).mkdir()
    store.comparison.compare_list()
    store.comparison.compare(id)
    assert [entry.id for entry in pictures.entries(id)] == [stays]
    assert [one.name for one, _ in store.owned_by(OWNER)] == ["Tiere"]
    with pytest.raises(UnknownPicture):
        pictures.picture(id, gone)
    pictures.remove(id, [stays, gone])
    assert (place / "pictures" / "notes.txt").read_text() == "foreign"


def test_a_deletion_that_was_cut_off_is_finished(
    store: Collections, id: str, add: Callable[..., str], folder: Path, connection: redis.Redis
) -> None:
    add("a.jpg")
    about = folder / "collections" / id / "collection.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "is_deleted": True}))
    connection.flushall()
    assert store.owned_by(OWNER) == []
    assert not about.parent.exists()
