import pytest

from flask_detector.structures.labels import asked_labels, plural

LABELS = ("cup", "salt, pepper", "salt", "a,b,c", "b", " spaced ", 'say "hi"')


@pytest.mark.parametrize(
    ("texts", "asked"),
    [
        (["cup"], ["cup"]),
        (["cup,salt"], ["cup", "salt"]),
        ([" cup , salt "], ["cup", "salt"]),
        (["salt, pepper"], ["salt, pepper"]),
        (["cup,salt, pepper,b"], ["cup", "salt, pepper", "b"]),
        (["salt", "b"], ["salt", "b"]),
        (["a,b,c,b"], ["a,b,c", "b"]),
        (["a,b"], ["a", "b"]),
        (["spaced"], [" spaced "]),
        (['say "hi",cup'], ['say "hi"', "cup"]),
        (["salt,sugar"], ["salt", "sugar"]),
        ([""], []),
        ([",cup,"], ["cup"]),
        ([], []),
    ],
)
def test_labels_are_asked_for_each_on_its_own_or_with_commas_between_them(
    texts: list[str], asked: list[str]
) -> None:
    assert asked_labels(texts, LABELS) == asked


def test_a_long_text_of_commas_is_read_at_once() -> None:
    assert len(asked_labels(["x," * 100_000], LABELS)) == 100_000


@pytest.mark.parametrize(
    ("label", "several"),
    [
        ("bed", "beds"),
        ("person", "persons"),
        ("bench", "benches"),
        ("wine glass", "wine glasses"),
        ("bus", "buses"),
        ("knife", "knives"),
        ("giraffe", "giraffes"),
        ("toy", "toys"),
        ("berry", "berries"),
        ("skis", "skis"),
        ("sheep", "sheep"),
        ("собака", "собака"),
        ("class 7", "class 7"),
        ("<b>", "<b>"),
    ],
)
def test_a_label_follows_a_number_as_english_has_it(label: str, several: str) -> None:
    assert plural(label, 1) == label
    assert plural(label, 4) == several
