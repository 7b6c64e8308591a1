"""What holds of every storage."""

import io

import pytest

from flask_detector.storage.base import Storage

BAD_PATHS = ("", "collections/../x", "/collections/a", "collections//a", "collections/.a", "0" * 32)
"""That leave their folder, or could be those of a detection."""


def check_deleting(storage: Storage, id: str, other: str) -> None:
    """Check that deleting takes all under an id and nothing else, and that a second time changes nothing."""
    for each in (id, other):
        storage.put(each, "original", io.BytesIO(b"pixels"))
        storage.put(each, "browser", io.BytesIO(b"pixels"))
    storage.delete(id)
    storage.delete(id)
    for name in ("original", "browser"):
        with pytest.raises(FileNotFoundError):
            storage.get(id, name)
        assert storage.get(other, name) == b"pixels"


def check_files_under_paths(storage: Storage) -> None:
    """Check that files are written, listed, read, replaced and removed by their paths."""
    first = storage.write("collections/a/one.json", io.BytesIO(b"1"))
    storage.write("collections/b/c/two.jpg", io.BytesIO(b"22"))
    assert (first.name, first.size) == ("one.json", 1)
    assert storage.files("collections/a") == [first]
    assert sorted(storage.folders("collections")) == ["a", "b"]
    assert storage.read("collections/b/c/two.jpg") == b"22"
    again = storage.write("collections/a/one.json", io.BytesIO(b"other"))
    assert again.stamp != first.stamp
    assert storage.files("collections/a") == [again]
    storage.remove("collections/a/one.json")
    storage.remove("collections/a/one.json")
    storage.remove_folder("collections/b")
    storage.remove_folder("collections/b")
    assert (storage.files("collections/a"), storage.files("collections/b/c")) == ([], [])
    with pytest.raises(FileNotFoundError):
        storage.read("collections/a/one.json")
