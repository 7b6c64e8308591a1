from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask
from flask_detector.visualization.annotate import Drawing, draw
from flask_detector.visualization.colors import colour_of, colours_of

GREY = 90
LABELS = tuple(f"thing {i}" for i in range(30))


def picture_of(width: int = 300, height: int = 200) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), GREY, np.uint8)


def found(
    *boxes: tuple[float, float, float, float], class_ids: tuple[int, ...] = (), **changes: Any
) -> Detections:
    """Make detections in a picture of 300 x 200, the best first."""
    count = len(boxes)
    fields: dict[str, Any] = {
        "width": 300,
        "height": 200,
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.linspace(0.9, 0.5, count, dtype=np.float32),
        "class_ids": np.array(class_ids or range(count), np.int64),
        "labels": LABELS,
        "model": "test",
    }
    return Detections(**fields | changes)


def changed(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    different: npt.NDArray[np.bool_] = (picture != GREY).any(axis=2)
    return different


def test_nothing_found_draws_nothing() -> None:
    assert not changed(draw(picture_of(), found())).any()


def test_the_given_picture_stays_as_it_is() -> None:
    picture = picture_of()

    drawn = draw(picture, found((50, 50, 150, 150)))

    assert changed(drawn).any()
    assert not changed(picture).any()
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8


def test_detections_of_another_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="another size"):
        draw(picture_of(200, 300), found())


def test_a_box_is_a_line_in_the_colour_of_its_class_with_a_dark_halo() -> None:
    drawn = draw(picture_of(), found((50, 60, 151, 131), class_ids=(3,)), show_labels=False)

    for y, x in ((60, 100), (130, 100), (100, 50), (100, 150)):
        assert tuple(drawn[y, x]) == colour_of(3)
    for y, x in ((59, 100), (61, 100), (131, 100), (100, 49), (100, 151)):
        assert (drawn[y, x] < GREY).all()
    untouched = changed(drawn)
    untouched[58:133, 48:153] = False
    assert not untouched.any()
    assert not changed(drawn)[65:126, 55:146].any()


def test_what_is_drawn_of_a_picture_keeps_the_colours_that_all_of_it_has() -> None:
    all_found = found((10, 60, 51, 131), (60, 60, 101, 131), class_ids=(0, 23))
    colours = colours_of(all_found.class_ids.tolist())
    picture = Image.fromarray(picture_of())
    Drawing(all_found.without({LABELS[0]}), show_labels=False, colours=colours).draw_on(picture)
    assert picture.getpixel((80, 60)) == colours[23] == colour_of(1)


def test_the_better_box_lies_on_top() -> None:
    drawn = draw(picture_of(), found(*[(50, 60, 150, 130)] * 2, class_ids=(3, 4)), show_labels=False)

    assert tuple(drawn[60, 100]) == colour_of(3)


def test_a_mask_is_a_tint_with_a_contour_in_its_place_only() -> None:
    mask = Mask.from_bitmap(np.ones((40, 60), bool), x=100, y=80)
    picture = picture_of()

    drawn = draw(
        picture,
        found((0, 0, 200, 200), masks=(mask,), class_ids=(2,)),
        show_boxes=False,
        show_labels=False,
    )

    tint = GREY + (np.array(colour_of(2)) - GREY) * 0.45
    np.testing.assert_allclose(drawn[82:118, 102:158], np.broadcast_to(tint, (36, 56, 3)), atol=1)
    assert tuple(drawn[80, 130]) == tuple(drawn[119, 130]) == colour_of(2)
    assert tuple(drawn[100, 100]) == tuple(drawn[100, 159]) == colour_of(2)
    outside = changed(drawn)
    outside[80:120, 100:160] = False
    assert not outside.any()


def test_a_mask_keeps_its_shape() -> None:
    bitmap = np.hypot(*np.mgrid[-20:21, -30:31]) < 18
    mask = Mask.from_bitmap(bitmap, x=50, y=40)

    drawn = draw(picture_of(), found((0, 0, 9, 9), masks=(mask,)), show_boxes=False, show_labels=False)

    np.testing.assert_array_equal(changed(drawn)[40:81, 50:111], bitmap)


def test_empty_masks_draw_nothing() -> None:
    masks = (Mask.from_bitmap(np.zeros((0, 0), bool)), Mask.from_bitmap(np.zeros((5, 5), bool)))

    drawn = draw(
        picture_of(), found((0, 0, 9, 9), (0, 0, 9, 9), masks=masks), show_boxes=False, show_labels=False
    )

    assert not changed(drawn).any()


def test_a_label_lies_above_its_box_on_a_tag_in_the_colour_of_its_class() -> None:
    drawn = draw(picture_of(), found((50, 60, 150, 130), class_ids=(3,)), show_boxes=False)

    colours, counts = np.unique(drawn[changed(drawn)], axis=0, return_counts=True)
    assert tuple(colours[counts.argmax()]) == colour_of(3)
    rows, columns = np.nonzero(changed(drawn))
    assert rows.max() < 60
    assert columns.min() == 50
    assert rows.max() - rows.min() >= 12


def test_each_part_can_be_left_out() -> None:
    detections = found((50, 60, 150, 130), masks=(Mask.from_bitmap(np.ones((9, 9), bool), x=90, y=90),))

    drawn = draw(picture_of(), detections, show_boxes=False, show_labels=False, show_masks=False)

    assert not changed(drawn).any()


def test_lines_grow_with_the_picture() -> None:
    widths = []
    for side in (200, 1000, 6000):
        picture = picture_of(side, side // 4)
        box = (side * 0.25, 10, side * 0.75, side // 4 - 10)
        detections = found(box, width=side, height=side // 4, class_ids=(1,))
        row = draw(picture, detections, show_labels=False)[side // 8, : side // 2]
        widths.append(int((row == colour_of(1)).all(axis=1).sum()))

    assert widths == [1, 2, 6]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 7)])
def test_extreme_pictures_can_be_drawn_on(size: tuple[int, int]) -> None:
    width, height = size
    mask = Mask.from_bitmap(np.ones((height, width), bool))
    detections = found((0, 0, width, height), width=width, height=height, masks=(mask,))

    assert changed(draw(picture_of(*size), detections)).all()


@pytest.mark.parametrize("box", [(300, 200, 300, 200), (0, 0, 0, 0), (299.5, 199.5, 300, 200)])
def test_a_box_without_area_is_drawn_around_the_pixel_that_it_touches(
    box: tuple[float, float, float, float],
) -> None:
    drawn = draw(picture_of(), found(box), show_labels=False)
    assert changed(drawn)[min(int(box[1]), 199), min(int(box[0]), 299)]


@pytest.mark.parametrize("box", [(0, 0, 300, 200), (300, 200, 300, 200), (0, 0, 0, 0), (299.5, 0, 300, 0.5)])
def test_boxes_at_the_edges_and_without_area_can_be_drawn(box: tuple[float, float, float, float]) -> None:
    assert changed(draw(picture_of(), found(box))).any()
