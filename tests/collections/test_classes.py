"""Classes of a collection."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from flask_detector.collections.classes import remove_class, rename_class
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.store import Collections
from flask_detector.errors import BadParameter
from tests.support.collected import OF_MODEL, OF_PERSON


def test_a_class_is_renamed_and_merged_in_all_pictures(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str]
) -> None:
    pid = add("a.jpg", OF_MODEL, replace(OF_PERSON, label="dog"))
    other = add("b.jpg", replace(OF_PERSON, label="kitty"))
    assert rename_class(pictures, id, "kitty", "cat") == 1
    assert store.find(id).classes == ("cat", "dog")
    assert rename_class(pictures, id, "cat", "貓") == 2
    assert store.find(id).classes == ("貓", "dog")
    assert [pictures.entry(id, one).counts for one in (pid, other)] == [{"貓": 1, "dog": 1}, {"貓": 1}]
    assert pictures.document(id, pid)["said"][0]["label"] == "貓"
    with pytest.raises(BadParameter):
        rename_class(pictures, id, "cow", "cat")
    with pytest.raises(BadParameter):
        rename_class(pictures, id, "dog", "\n")


def test_a_class_that_no_object_has_is_removed(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str]
) -> None:
    add("a.jpg", OF_MODEL)
    store.change(id, lambda one: replace(one, classes=("猫", *one.classes)))
    with pytest.raises(BadParameter, match="has 1 object"):
        remove_class(pictures, id, OF_MODEL.label)
    remove_class(pictures, id, "猫")
    assert store.find(id).classes == (OF_MODEL.label,)
    for none in ("猫", "", "\0"):
        with pytest.raises(BadParameter):
            remove_class(pictures, id, none)
