import copy
import json
from typing import Any

import numpy as np
import pytest

from flask_detector.structures.detections import Detections, Instance, MaskEncoding
from flask_detector.structures.masks import Mask

LABELS = ("cat", "dog", "fox")
MASKS = (
    Mask.from_bitmap(np.eye(4, dtype=bool), x=10, y=10),
    Mask.from_bitmap(np.ones((3, 5), bool), x=0, y=47),
    Mask.from_bitmap(np.zeros((2, 2), bool), x=50, y=20),
)


def detections(**changes: Any) -> Detections:
    """Make three detections in a picture of 100 x 50: a dog, a cat and a dog."""
    fields: dict[str, Any] = {
        "width": 100,
        "height": 50,
        "boxes": np.array([[10, 10, 14, 14], [0, 47, 5, 50], [50, 20, 100, 50]], np.float32),
        "scores": np.array([0.875, 0.5, 0.25], np.float32),
        "class_ids": np.array([1, 0, 1]),
        "labels": LABELS,
        "model": "test",
    }
    return Detections(**fields | changes)


def floats(*numbers: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((2, 4), np.float32)}, "of one N"),
        ({"boxes": np.zeros((3, 5), np.float32)}, "of one N"),
        ({"class_ids": np.zeros(2, np.int64)}, "of one N"),
        ({"scores": np.zeros((3, 1), np.float32)}, "of one N"),
        ({"masks": MASKS[:2]}, "one mask for each"),
        ({"masks": (*MASKS[:2], Mask.from_bitmap(np.ones((2, 2), bool), x=99))}, "masks must lie"),
        ({"masks": (*MASKS[:2], Mask.from_bitmap(np.ones((2, 2), bool), y=49))}, "masks must lie"),
        ({"scores": floats(0.9, 0.5, np.nan)}, "finite"),
        ({"boxes": np.full((3, 4), np.inf, np.float32)}, "finite"),
        ({"scores": floats(1.1, 0.5, 0.2)}, "in 0..1"),
        ({"scores": floats(0.9, 0.5, -0.1)}, "in 0..1"),
        ({"scores": floats(0.5, 0.9, 0.2)}, "descend"),
        ({"class_ids": np.array([1, 0, 3])}, "indices into labels"),
        ({"class_ids": np.array([1, 0, -1])}, "indices into labels"),
        ({"width": 99}, "within the picture"),
        ({"height": 49}, "within the picture"),
        ({"boxes": np.array([[-1, 0, 5, 5]] * 3, np.float32)}, "within the picture"),
        ({"boxes": np.array([[6, 0, 5, 5]] * 3, np.float32)}, "xyxy"),
        ({"boxes": np.array([[0, 6, 5, 5]] * 3, np.float32)}, "xyxy"),
    ],
)
def test_arrays_that_break_a_rule_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detections(**changes)


def test_the_instances_come_best_first() -> None:
    assert list(detections()) == [
        Instance("dog", 1, 0.875, (10, 10, 14, 14), None),
        Instance("cat", 0, 0.5, (0, 47, 5, 50), None),
        Instance("dog", 1, 0.25, (50, 20, 100, 50), None),
    ]


def test_each_instance_has_its_mask() -> None:
    assert [instance.mask for instance in detections(masks=MASKS)] == list(MASKS)


def test_unordered_detections_are_sorted_and_clipped() -> None:
    found = Detections.from_unordered(
        np.array([[0, 47, 5, 60], [-3, 10, 14, 14], [50, 20, 110, 50]], np.float64),
        np.array([0.5, 0.9, 0.5], np.float64),
        np.array([0, 1, 2], np.int32),
        masks=(MASKS[1], MASKS[0], MASKS[2]),
        width=100,
        height=50,
        labels=LABELS,
        model="test",
    )

    assert found.boxes.tolist() == [[0, 10, 14, 14], [0, 47, 5, 50], [50, 20, 100, 50]]
    assert {found.boxes.dtype, found.scores.dtype} == {np.dtype(np.float32)}
    assert found.class_ids.tolist() == [1, 0, 2]
    assert found.masks == (MASKS[0], MASKS[1], MASKS[2])


def test_nothing_found() -> None:
    found = Detections.from_unordered(
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, np.int64),
        masks=(),
        width=100,
        height=50,
        labels=LABELS,
        model="test",
    )

    assert (len(found), list(found), found.counts()) == (0, [], {})
    again = Detections.from_json(json.loads(json.dumps(found.to_json())))
    assert again.boxes.shape == (0, 4)
    assert again.masks == ()


def test_the_counts_are_by_number_and_then_by_name() -> None:
    class_ids = np.array([2, 0, 1])

    assert detections().counts() == {"dog": 2, "cat": 1}
    assert list(detections().counts()) == ["dog", "cat"]
    assert list(detections(class_ids=class_ids).counts()) == ["cat", "dog", "fox"]


@pytest.mark.parametrize(("min_score", "count"), [(0, 3), (0.25, 3), (0.26, 2), (0.5, 2), (0.95, 0)])
def test_over_keeps_the_scores_from_a_minimum_on(min_score: float, count: int) -> None:
    found = detections(masks=MASKS, timings={"network": 0.5}).over(min_score)

    assert len(found) == count
    assert found.masks == MASKS[:count]
    assert found.boxes.shape == (count, 4)
    assert found.timings == {"network": 0.5}
    assert detections().over(min_score).masks is None


@pytest.mark.parametrize("masks", [None, MASKS])
def test_the_json_form_comes_back_as_it_was(masks: tuple[Mask, ...] | None) -> None:
    found = detections(masks=masks, timings={"decode": 0.0125, "network": 1.5})

    again = Detections.from_json(json.loads(json.dumps(found.to_json())))

    np.testing.assert_array_equal(again.boxes, found.boxes)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-6)
    np.testing.assert_array_equal(again.class_ids, found.class_ids)
    assert (again.width, again.height, again.labels, again.model) == (100, 50, LABELS, "test")
    assert again.timings == found.timings
    assert list(again.timings) == ["decode", "network"]
    if masks is None:
        assert again.masks is None
    else:
        assert again.masks is not None
        for mask, before in zip(again.masks, masks, strict=True):
            assert mask is not None
            assert mask.to_rle(width=100, height=50) == before.to_rle(width=100, height=50)


def test_the_json_form() -> None:
    form = detections(masks=MASKS, timings={"network": 0.1234567}).to_json()

    assert form | {"instances": []} == {
        "version": 1,
        "model": "test",
        "width": 100,
        "height": 50,
        "corrected": False,
        "instances": [],
        "labels": ["cat", "dog", "fox"],
        "has_masks": True,
        "timings_ms": {"network": 123.46},
    }
    assert form["instances"][0] == {
        "label": "dog",
        "class_id": 1,
        "score": 0.875,
        "box": [10.0, 10.0, 14.0, 14.0],
        "area": 4,
        "mask": MASKS[0].to_rle(width=100, height=50),
    }
    assert "mask" not in detections().to_json()["instances"][0]


def test_rounded_boxes_and_scores_still_keep_the_rules() -> None:
    chance = np.random.default_rng(3)
    corners = np.sort(chance.uniform(0, 1, (200, 2, 2)), axis=1) ** 0.1 * [100, 50]
    found = Detections.from_unordered(
        corners.reshape(-1, 4).astype(np.float32),
        chance.uniform(0, 1, 200).astype(np.float32),
        chance.integers(0, 3, 200),
        width=100,
        height=50,
        labels=LABELS,
        model="test",
    )

    again = Detections.from_json(json.loads(json.dumps(found.to_json())))

    np.testing.assert_allclose(again.boxes, found.boxes, atol=6e-4)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["version"], 2),
        (["version"], None),
        (["instances"], None),
        (["instances"], {"a": 1}),
        (["instances", 0, "box"], [1, 2, 3]),
        (["instances", 0, "box"], None),
        (["instances", 0, "score"], "high"),
        (["instances", 0, "class_id"], 99),
        (["instances", 0, "class_id"], 2**70),
        (["instances", 0, "mask"], None),
        (["instances", 0, "mask"], {"size": [50, 100], "counts": "~"}),
        (["labels"], None),
        (["width"], "wide"),
        (["width"], 5),
        (["timings_ms"], []),
        (["timings_ms"], {"network": "long"}),
    ],
)
def test_a_form_that_breaks_a_rule_is_refused(path: list[Any], value: object) -> None:
    form = copy.deepcopy(detections(masks=MASKS).to_json())
    place: Any = form
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(ValueError, match=r"."):
        Detections.from_json(form)


@pytest.mark.parametrize(
    "field", ["version", "instances", "width", "height", "labels", "model", "has_masks", "timings_ms"]
)
def test_a_form_that_lacks_a_field_is_refused(field: str) -> None:
    form = detections().to_json()
    del form[field]

    with pytest.raises(ValueError, match=field):
        Detections.from_json(form)


def test_masks_come_back_from_polygons_the_same() -> None:
    found = detections(masks=MASKS)
    form = json.loads(json.dumps(found.to_json(masks="polygon")))
    assert form["has_masks"] is True
    assert "mask" not in form["instances"][0]
    assert form["instances"][1]["polygons"] == [[[[0, 47], [5, 47], [5, 50], [0, 50]]]]
    assert form["instances"][2]["polygons"] == []
    assert [one["area"] for one in form["instances"]] == [4, 15, 0]
    assert Detections.from_json(form).to_json() == found.to_json()


def test_masks_can_be_left_out_but_for_their_area() -> None:
    form = detections(masks=MASKS).to_json(masks="none")
    assert (form["has_masks"], form["instances"][0]["area"]) == (False, 4)
    assert not {"mask", "polygons"} & set(form["instances"][0])
    assert Detections.from_json(form).masks is None


@pytest.mark.parametrize("masks", ["rle", "polygon", "none"])
def test_boxes_alone_are_the_same_however_masks_are_told(masks: MaskEncoding) -> None:
    assert detections().to_json(masks=masks) == detections().to_json()


@pytest.mark.parametrize(
    "polygons",
    [
        [[[[0, 0], [101, 0], [101, 1], [0, 1]]]],
        [[[[0, 0], [3, 3]]]],
        [[[[0, 0], [1]]]],
        [[["ab"]]],
        [[[]]],
        [[7]],
        7,
        None,
    ],
)
def test_polygons_that_are_none_are_refused(polygons: Any) -> None:
    form = detections(masks=MASKS).to_json(masks="polygon")
    form["instances"][0]["polygons"] = polygons
    with pytest.raises(ValueError, match=r"ring|not a detection result|inhomogeneous"):
        Detections.from_json(form)


@pytest.mark.parametrize("side", [float("inf"), 1e308, 2**63, 2**33, -1, 1.5, "64", None])
def test_a_form_whose_picture_has_no_possible_size_is_refused(side: object) -> None:
    form = {"version": 1, "model": "m", "width": side, "height": 48, "instances": [], "labels": []}
    with pytest.raises(ValueError, match="width"):
        Detections.from_json({**form, "has_masks": True, "timings_ms": {}})


def test_printing_them_tells_what_was_found() -> None:
    assert repr(detections()) == "<Detections: 2 dogs, 1 cat (test, 100x50)>"
    assert repr(detections().only([])) == "<Detections: nothing (test, 100x50)>"
