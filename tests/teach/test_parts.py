from dataclasses import replace

import pytest

from flask_detector.errors import BadTrainingData
from flask_detector.teach.examples import Example
from flask_detector.teach.parts import Part, learned_from, parts, remarks_on
from tests.support.examples import data, example, found

HERE, THERE = (10, 10, 40, 40), (50, 10, 90, 40)


def many(count: int) -> list[Example]:
    return [example(f"{n}", (n % 2, HERE), look=n) for n in range(count)]


def test_the_data_sets_own_parts_are_kept() -> None:
    train, val = example("a", (0, HERE)), example("b", (0, HERE), split="val")

    assert parts(data(train, val)) == [([train], [val])]


def test_each_fifth_of_many_pictures_is_held_out_of_each_class() -> None:
    ((training, validation),) = parts(data(*many(40)))

    assert (len(training), len(validation)) == (32, 8)
    assert sorted(one.class_ids[0] for one in validation) == [0] * 4 + [1] * 4


def test_few_pictures_prove_each_other_in_three_parts() -> None:
    found = parts(data(*many(10)))

    assert [(len(part.training), len(part.validation)) for part in found] == [(6, 4), (7, 3), (7, 3)]
    assert sorted(one.name for part in found for one in part.validation) == [str(n) for n in range(10)]


@pytest.mark.parametrize("objects", [[], [(0, HERE)]], ids=["no object", "one picture"])
def test_too_few_pictures_are_refused(objects: list[tuple[int, tuple[int, ...]]]) -> None:
    with pytest.raises(BadTrainingData, match="too few to learn and test") as raised:
        parts(data(example("a", *objects), example("b")))
    assert "at least two pictures" in raised.value.hint


def test_of_pictures_that_prove_each_other_all_are_learned_from_in_the_end() -> None:
    pictures = data(*many(12))

    assert len(learned_from(parts(pictures))) == 12
    assert [remark[:16] for remark in remarks_on(pictures, parts(pictures))] == ["Only 6 objects o"] * 2


def remarks(*objects: tuple[int, tuple[int, ...]]) -> str:
    pictures = data(example("a", *objects), example("b", (0, HERE), look=1))
    return " ".join(remarks_on(pictures, parts(pictures)))


@pytest.mark.parametrize("count", [6, 30])
def test_the_only_picture_of_a_class_is_learned_from_and_never_proves(count: int) -> None:
    pictures = data(*(example(f"{n}", (1, HERE), look=n) for n in range(count)), example("x", (0, HERE)))

    chosen = parts(pictures)

    for part in chosen:
        assert "x" in [one.name for one in part.training]
        assert "x" not in [one.name for one in part.validation]
    assert len(learned_from(chosen)) == count + 1 - (len(chosen[0].validation) if count > 20 else 0)
    assert "How well brick is found can't be measured: no other picture has it." in remarks_on(
        pictures, chosen
    )


def test_few_objects_of_a_class_and_many_more_of_another_are_remarked() -> None:
    pictures = data(
        *(example(str(n), (0, HERE), look=n) for n in range(30)), example("x", (1, HERE), look=99)
    )

    said = remarks_on(pictures, [Part(list(pictures.examples), [])])

    assert said == [
        "Only 1 object of tile to learn from: 10 or more are found far better.",
        "How well brick is found can't be measured: no other picture has it.",
        "How well tile is found can't be measured: no other picture has it.",
        "brick is marked 30 times, tile 1: mark more of it.",
    ]


@pytest.mark.parametrize(
    ("box", "what"),
    [
        ((10, 10, 11, 12), "a box of tile has 1x2 pixels"),
        ((0, 0, 100, 80), "a box of tile is the whole picture"),
        ((0, 10, 100, 12), "a box of tile is very narrow, 100x2 pixels"),
    ],
)
def test_boxes_that_look_wrong_are_named_with_their_picture(box: tuple[int, ...], what: str) -> None:
    assert f"This looks wrong: a: {what}." in remarks((1, box))


def test_a_box_that_is_there_twice_is_named() -> None:
    assert "a: tile is marked twice in one place" in remarks((1, HERE), (1, HERE))
    assert "twice" not in remarks((1, HERE), (1, THERE))


def test_what_may_be_unmarked_is_named() -> None:
    birds = found(("bird", 0.9, HERE), ("bird", 0.9, THERE), ("bird", 0.2, (0, 0, 9, 9)), ("cat", 0.9, THERE))
    pictures = replace(
        data(replace(example("a", (1, HERE)), found=birds), example("b", (0, HERE), look=1)),
        replaces={"brick": [], "tile": ["bird"]},
    )

    (said,) = (one for one in remarks_on(pictures, parts(pictures)) if "unmarked" in one)

    assert said.endswith("you mark it: a: tile.")


def test_nearly_the_same_picture_on_both_sides_is_named() -> None:
    pictures = data(example("a", (0, HERE)), example("b", (0, HERE), split="val"))

    assert any("a and b" in remark for remark in remarks_on(pictures, parts(pictures)))
