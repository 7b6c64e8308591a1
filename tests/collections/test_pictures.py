"""Pictures in collections."""

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from flask_detector.collections.documents import State, annotations_in
from flask_detector.collections.pictures import Pictures, revision_of
from flask_detector.collections.store import Collections, Limits
from flask_detector.errors import (
    BrokerUnavailable,
    ChangedMeanwhile,
    CollectionFull,
    StorageUnavailable,
    UnknownCollection,
    UnknownPicture,
)
from flask_detector.storage.local import FolderStorage
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.revisions import ANY
from tests.support.collected import OF_MODEL, OF_PERSON, OWNER, annotations
from tests.support.pictures import picture


def test_a_picture_stays_with_its_objects_in_files_that_a_person_can_read(
    store: Collections, id: str, add: Callable[..., str], folder: Path, jpeg: bytes
) -> None:
    pid = add("Füchse/狐 1.jpg", OF_MODEL, OF_PERSON)
    place = folder / "collections" / id
    assert (place / "pictures" / f"{pid}.jpg").read_bytes() == jpeg
    text = (place / "annotations" / f"{pid}.json").read_text(encoding="utf-8")
    assert "狐 1.jpg" in text
    assert "Füchsin 狐" in text
    document = json.loads(text)
    assert (document["state"], document["split"]) == ("edited", None)
    assert Annotations.from_json(annotations_in(document)) == annotations(OF_MODEL, OF_PERSON)
    about = json.loads((place / "collection.json").read_text())
    assert (about["name"], about["owner"], about["classes"]) == ("Tiere", OWNER, ["cat", "Füchsin 狐"])


def test_of_two_who_change_a_picture_the_second_is_told_and_overwrites_nothing(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str]
) -> None:
    pid = add()
    seen = revision_of(pictures.document(id, pid)).version
    form, first = pictures.correct(id, pid, annotations(OF_PERSON), replaces={seen}, by="the first")
    with pytest.raises(ChangedMeanwhile, match="the first"):
        pictures.correct(id, pid, annotations(), replaces={seen}, by="the second")
    assert annotations_in(pictures.document(id, pid)) == form
    # One that is sent again after a lost answer is the one that was made.
    again = pictures.correct(id, pid, annotations(OF_PERSON), replaces={seen}, by="the first")
    assert again[1].version == first.version


def test_adding_again_makes_no_double_and_keeps_what_was_changed_here(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str], jpeg: bytes
) -> None:
    pid = add("a.jpg")
    assert pictures.add(id, jpeg, annotations(OF_PERSON), file_name="a.jpg")[1] == "replaced"
    assert pictures.entry(id, pid).state is State.EDITED
    mine = replace(OF_PERSON, id="p2", label="dog")
    pictures.correct(id, pid, annotations(mine, OF_PERSON), replaces={ANY}, by="me")
    assert pictures.add(id, jpeg, annotations(OF_MODEL), file_name="a.jpg")[1] == "there"
    assert pictures.entry(id, pid).counts == {"dog": 1, "Füchsin 狐": 1}
    assert pictures.add(id, jpeg, annotations(OF_MODEL), file_name="b.jpg")[1] == "added"


def test_deleting_frees_the_disk_at_once(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str], folder: Path
) -> None:
    pid = add("a.jpg")
    pictures.thumbnail(id, pid, lambda data: data)
    pictures.remove(id, [pid])
    assert list(folder.rglob(f"{pid}*")) == []
    assert store.owned_by(OWNER)[0][1].size == 0
    store.delete(id)
    assert list((folder / "collections").iterdir()) == []
    with pytest.raises(UnknownCollection):
        store.find(id)


def test_a_full_disk_loses_nothing(
    store: Collections,
    pictures: Pictures,
    id: str,
    add: Callable[..., str],
    storage: FolderStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pid = add("a.jpg")
    before = pictures.document(id, pid), pictures.entries(id)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("flask_detector.storage.local.write_whole", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        pictures.correct(id, pid, annotations(OF_PERSON), replaces={ANY}, by="me")
    with pytest.raises(StorageUnavailable, match="No space left"):
        pictures.add(id, picture(), annotations(OF_PERSON), file_name="b.jpg")
    assert (pictures.document(id, pid), pictures.entries(id)) == before


@pytest.mark.slow
def test_without_redis_nothing_is_written(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str], storage: FolderStorage
) -> None:
    pid = add("a.jpg")
    before = pictures.document(id, pid)
    cut_off = Collections(storage, redis.Redis(port=1), Limits(total=1_000_000, owner=100_000))
    with pytest.raises(BrokerUnavailable):
        Pictures(cut_off).correct(id, pid, annotations(OF_PERSON), replaces={ANY}, by="me")
    assert pictures.document(id, pid) == before


def test_what_is_full_is_said(store: Collections, pictures: Pictures, id: str, jpeg: bytes) -> None:
    with pytest.raises(CollectionFull, match=r"0\.1|100 MB|0.1 MB"):
        pictures.add(id, jpeg + bytes(100_000), annotations(), file_name="a.jpg")
    assert pictures.entries(id) == []


@pytest.mark.parametrize(
    "hostile", ["", "..", "../../x", "a/b", "A" * 32, "0" * 31, "0" * 32, "\0", "é" * 32]
)
def test_hostile_ids_reach_nothing(store: Collections, pictures: Pictures, id: str, hostile: str) -> None:
    with pytest.raises(UnknownCollection):
        pictures.entries(hostile)
    with pytest.raises(UnknownPicture):
        pictures.document(id, hostile)
    with pytest.raises(UnknownPicture):
        pictures.picture(id, hostile)
    with pytest.raises(UnknownCollection):
        store.of_link(hostile)


def test_many_who_add_and_correct_at_once_lose_nothing_and_pass_no_limit(
    store: Collections,
    pictures: Pictures,
    id: str,
    jpeg: bytes,
    storage: FolderStorage,
    connection: redis.Redis,
) -> None:
    def add(number: int) -> str:
        try:
            return pictures.add(id, jpeg + bytes(9000), annotations(OF_MODEL), file_name=f"{number}.jpg")[1]
        except CollectionFull:
            return "full"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(add, range(20)))
    used = store.sums(id).size
    assert results.count("full") > 0
    assert used + 4096 <= 100_000 < used + 2 * 12_000
    entries = pictures.entries(id)
    assert len(entries) == results.count("added")

    def correct(number: int) -> str:
        mine = replace(OF_PERSON, label=f"class {number}")
        try:
            pictures.correct(id, entries[0].id, annotations(mine), replaces={seen}, by=str(number))
        except ChangedMeanwhile:
            return "late"
        return f"class {number}"

    seen = pictures.annotations(id, entries[0].id)[1].version
    with ThreadPoolExecutor(8) as pool:
        winners = [one for one in pool.map(correct, range(8)) if one != "late"]
    assert [list(pictures.entry(id, entries[0].id).counts)] == [winners]
    before = pictures.entries(id), store.sums(id)
    connection.flushall()
    assert (pictures.entries(id), store.sums(id)) == before
