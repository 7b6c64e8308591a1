"""Collections on a real Redis and in a real folder."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections, Limits
from flask_detector.storage.local import FolderStorage
from flask_detector.structures.annotation import Annotation
from tests.support.collected import OF_MODEL, OWNER, annotations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def storage(folder: Path) -> FolderStorage:
    return FolderStorage(folder)


@pytest.fixture
def store(storage: FolderStorage, connection: redis.Redis) -> Iterator[Collections]:
    store = Collections(storage, connection, Limits(total=1_000_000, owner=100_000))
    yield store
    # What it compares in the background would come into the Redis of the next test.
    idle = threading.Event()
    store.comparison._later.do(idle.set)
    assert idle.wait(10)


@pytest.fixture
def pictures(store: Collections) -> Pictures:
    return Pictures(store)


@pytest.fixture
def id(store: Collections) -> str:
    return store.create("Tiere", OWNER).id


@pytest.fixture
def add(pictures: Pictures, id: str, jpeg: bytes) -> Callable[..., str]:
    """A function that adds a picture of that name and returns its id."""

    def add(name: str = "a.jpg", *objects: Annotation) -> str:
        return pictures.add(id, jpeg, annotations(*objects or (OF_MODEL,)), file_name=name)[0]

    return add
