"""The index of collections in Redis, which several processes share."""

from collections.abc import Callable

import redis

from flask_detector.collections.index import Index
from flask_detector.collections.pictures import Pictures


def test_what_one_process_changes_another_lists_at_once(
    pictures: Pictures, id: str, add: Callable[..., str], connection: redis.Redis
) -> None:
    other = Index(connection)
    add("a.jpg")
    assert [entry.file_name for entry in other.entries(id)] == ["a.jpg"]
    assert other.entries(id) is other.entries(id), "it is parsed once"
    add("b.jpg")
    assert [entry.file_name for entry in other.entries(id)] == ["a.jpg", "b.jpg"]
    connection.flushall()
    assert list(other.entries(id)) == []
    assert len(pictures.entries(id)) == 2
