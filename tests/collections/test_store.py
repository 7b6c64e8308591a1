"""Collections on a real Redis and in a real folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_detector.collections.documents import Rights
from flask_detector.collections.store import Collections
from flask_detector.errors import BadParameter, UnknownCollection
from flask_detector.storage.local import FolderStorage
from tests.support.collected import OWNER


def test_a_link_gives_its_rights_until_it_is_withdrawn(store: Collections, id: str) -> None:
    read, edit = store.share(id, Rights.READ), store.share(id, Rights.EDIT)
    assert store.share(id, Rights.READ) == read
    assert store.of_link(read)[1] is Rights.READ
    assert store.of_link(edit)[1] is Rights.EDIT
    store.withdraw(id, Rights.EDIT)
    with pytest.raises(UnknownCollection):
        store.of_link(edit)
    assert store.of_link(read)[1] is Rights.READ


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\u202eabc", "x" * 101])
def test_a_name_that_can_not_be_shown_is_refused(store: Collections, name: str) -> None:
    with pytest.raises(BadParameter):
        store.create(name, OWNER)


def test_detections_are_swept_away_and_collections_stay(
    storage: FolderStorage, add: Callable[..., str], folder: Path
) -> None:
    add("a.jpg")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    assert list(storage.older_than(1)) == []
