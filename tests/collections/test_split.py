from collections.abc import Callable

from flask_detector.collections.documents import Entry, State
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.split import assigned, split
from flask_detector.collections.store import Collections


def entry(number: int, *labels: str) -> Entry:
    counts = dict.fromkeys(labels, 1)
    return Entry(f"{number:032x}", "a.jpg", State.UNSEEN, None, "", None, 2, 1, 1, counts)


def test_the_share_is_exact_and_each_class_is_parted_by_about_the_same() -> None:
    entries = [entry(i, "common", *["rare"] * (i < 20), *["other"] * (i % 2)) for i in range(200)]
    splits = assigned(entries, validation=0.25, seed=0)
    validated = [one for one in entries if splits[one.id] == "val"]
    assert len(validated) == 50
    for label, number in (("rare", 20), ("other", 100)):
        assert abs(sum(label in one.counts for one in validated) - number / 4) <= number / 20


def test_the_seed_decides_and_the_order_does_not() -> None:
    entries = [entry(i, "cat") for i in range(50)]
    first = assigned(entries, validation=0.2, seed=1)
    assert assigned(entries[::-1], validation=0.2, seed=1) == first
    assert assigned(entries, validation=0.2, seed=2) != first


def test_any_share_of_any_number_can_be_taken() -> None:
    for number in range(5):
        entries = [entry(i) for i in range(number)]
        for share in (0, 0.3, 1):
            found = list(assigned(entries, validation=share, seed=0).values())
            assert found.count("val") == round(number * share)


def test_pictures_are_parted_by_a_share_that_stays(
    store: Collections, pictures: Pictures, id: str, add: Callable[..., str]
) -> None:
    for number in range(10):
        add(f"{number}.jpg")
    split(pictures, id, validation=0.2)
    before = {entry.id: entry.split for entry in pictures.entries(id)}
    assert sorted(map(str, before.values())) == ["train"] * 8 + ["val"] * 2
    added = add("more.jpg")
    split(pictures, id, validation=0.2)
    after = {entry.id: entry.split for entry in pictures.entries(id)}
    assert after.pop(added) == "train"
    assert after == before
