import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from flask_detector.visualization import text_labels
from flask_detector.visualization.text_labels import Tag, TagStyle, place, tag_of

STYLE = TagStyle.for_side(1024)


def blank(width: int, height: int) -> Tag:
    return Tag(Image.new("L", (width, height), 255), Image.new("L", (width, height)))


def place_one(box: tuple[int, int, int, int], size: tuple[int, int] = (60, 20)) -> tuple[int, int] | None:
    return place([blank(*size)], [box], width=400, height=300)[0]


def test_a_tag_lies_above_its_box() -> None:
    assert place_one((100, 100, 200, 200)) == (100, 80)


def test_a_tag_of_a_box_at_the_upper_edge_lies_within_it() -> None:
    assert place_one((100, 5, 200, 200)) == (100, 0)


def test_a_tag_of_a_box_at_the_right_edge_is_moved_into_the_picture() -> None:
    assert place_one((380, 100, 399, 200)) == (340, 80)


def test_later_tags_make_way() -> None:
    box = (100, 100, 200, 200)

    places = place([blank(60, 20)] * 4, [box] * 4, width=400, height=300)

    assert places[0] == (100, 80)
    assert len(set(places)) == 4


def test_a_tag_larger_than_the_picture_is_left_out() -> None:
    assert place_one((0, 0, 10, 10), size=(401, 20)) is None
    assert place_one((0, 0, 10, 10), size=(20, 301)) is None


def test_a_tag_for_which_there_is_no_room_is_left_out() -> None:
    places = place([blank(60, 20)] * 50, [(100, 100, 110, 110)] * 50, width=400, height=300)

    assert places[-1] is None


@pytest.mark.parametrize("seed", range(10))
def test_tags_never_cover_each_other_nor_leave_the_picture(seed: int) -> None:
    chance = random.Random(seed)
    boxes, sizes = [], []
    for _ in range(100):
        x, y = chance.randrange(400), chance.randrange(300)
        boxes.append((x, y, min(399, x + chance.randrange(200)), min(299, y + chance.randrange(150))))
        sizes.append((chance.randrange(20, 110), 16))

    places = place([blank(*size) for size in sizes], boxes, width=400, height=300)

    areas = [(*at, at[0] + w, at[1] + h) for at, (w, h) in zip(places, sizes, strict=True) if at]
    assert len(areas) > 30
    for x1, y1, x2, y2 in areas:
        assert x1 >= 0
        assert y1 >= 0
        assert x2 <= 400
        assert y2 <= 300
    for a, b in itertools.combinations(areas, 2):
        assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]


def test_a_tag_fits_its_letters() -> None:
    tag = tag_of("potted plant", "87%", style=STYLE)

    assert tag.shape.size == tag.text.size
    left, top, right, bottom = tag.text.getbbox() or (0, 0, 0, 0)
    assert left >= STYLE.padding_x - 1
    assert top >= STYLE.padding_y - 1
    assert right <= tag.size[0] - STYLE.padding_x + 1
    assert bottom <= tag.size[1] - STYLE.padding_y + 1


def test_tags_of_all_texts_are_equally_high() -> None:
    assert len({tag_of(text, "", style=STYLE).size[1] for text in ("ace", "bag", "a", "_", "猫")}) == 1


def test_a_tag_has_round_corners() -> None:
    shape = np.asarray(tag_of("dog", "", style=STYLE).shape)

    assert shape[0, 0] < 128
    assert shape[len(shape) // 2, 0] == 255


def test_letters_grow_with_the_picture() -> None:
    assert TagStyle.for_side(300).font_size == 11
    assert TagStyle.for_side(1024).font_size == 16
    assert TagStyle.for_side(6000).font_size == 94


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without fonts, as a container is."""
    monkeypatch.setattr(text_labels, "WIDER_FONTS", ())
    tag_of.cache_clear()
    yield
    tag_of.cache_clear()


def letters(label: str) -> bytes:
    return tag_of(label, "87%", style=STYLE).text.tobytes()


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("crème brûlée", "creme brulee"),
        ("猫", "Mao"),
        ("猫 and ねこ", "Mao and neko"),
        ("кошка", "koshka"),
        ("قطة", "qth"),
        ("😀", ":grinning:"),
        ("\U0001fae8", ":shaking_face:"),
        ("e\u0301te\u0301", "ete"),
        ("नमस्ते", "nmste"),
        ("❤\ufe0f", ":heart:"),
        ("\ue123", "U+E123"),
        ("two\nlines", "two lines"),
        ("x" * 60, "x" * 40 + "..."),
    ],
)
@pytest.mark.usefixtures("no_fonts")
def test_letters_that_no_font_has_are_written_in_english(label: str, written: str) -> None:
    assert letters(label) == letters(written)


def test_a_font_of_the_machine_that_has_the_letters_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    if text_labels.font_named("DejaVuSans.ttf", STYLE.font_size) is None:
        pytest.skip("this machine has no DejaVu Sans")
    assert letters("кошка") != letters("koshka")
    if text_labels.font_named("NotoSansCJK-Regular.ttc", STYLE.font_size) is None:
        assert letters("кошка 猫") != letters("koshka Mao")  # each letter as well as can be


@pytest.mark.usefixtures("no_fonts")
def test_no_two_classes_in_other_scripts_look_alike() -> None:
    labels = ["猫", "犬", "鳥", "кот", "собака", "قطة", "كلب", "😀", "🐶", "고양이", "แมว"]
    assert len({letters(label) for label in labels}) == len(labels)


def test_a_name_is_never_drawn_as_boxes() -> None:
    """The picture of what a font lacks, which all of its missing letters have in common."""
    assert letters("\ue123") != letters("\ue124")
