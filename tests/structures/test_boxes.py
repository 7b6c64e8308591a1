import numpy as np
import numpy.typing as npt
import pytest

from flask_detector.structures import boxes

NONE = np.zeros((0, 4), np.float32)


def xyxy(*rows: tuple[float, float, float, float]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def random_boxes(seed: int, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Make crowded boxes, with scores of which many are equal."""
    chance = np.random.default_rng(seed)
    centres, sides = chance.uniform(0, 60, (count, 2)), chance.uniform(5, 40, (count, 2))
    found = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return found.astype(np.float32), chance.integers(0, 20, count).astype(np.float32) / np.float32(20)


def plain_iou(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    width = max(0.0, float(min(a[2], b[2])) - float(max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3])) - float(max(a[1], b[1])))
    union = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - width * height
    return width * height / union if union > 0 else 0.0


def plain_nms(
    found: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], iou_threshold: float
) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if all(plain_iou(found[i], found[k]) <= iou_threshold for k in kept):
            kept.append(i)
    return kept


def nms(
    found: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], iou_threshold: float
) -> npt.NDArray[np.int64]:
    """All that stays where there is one class."""
    return boxes.nms_per_class(found, scores, np.zeros(len(scores), np.int64), iou_threshold, len(scores))


def test_the_area_has_no_plus_one() -> None:
    assert boxes.areas(xyxy((1, 2, 4, 7), (0, 0, 0.5, 0.5), (3, 3, 3, 9))).tolist() == [15, 0.25, 0]


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert boxes.areas(xyxy((4, 0, 1, 5), (4, 5, 1, 0))).tolist() == [0, 0]


def test_clipping_cuts_at_each_side_of_the_picture() -> None:
    clipped = boxes.clip(xyxy((-5, -6, 200, 300), (10, 20, 30, 40), (150, -9, 160, -1)), width=100, height=50)

    assert clipped.tolist() == [[0, 0, 100, 50], [10, 20, 30, 40], [100, 0, 100, 0]]
    assert clipped.dtype == np.float32


def test_the_iou_of_each_pair() -> None:
    a = xyxy((0, 0, 10, 10), (20, 20, 30, 30))
    b = xyxy((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (20, 20, 25, 30))

    found = boxes.iou(a, b)

    np.testing.assert_allclose(found, [[1, 1 / 3, 0, 0], [0, 0, 0, 0.5]], rtol=1e-6)
    assert found.dtype == np.float32


def test_boxes_without_area_have_no_iou() -> None:
    assert boxes.iou(xyxy((5, 5, 5, 5)), xyxy((5, 5, 5, 5), (0, 0, 10, 10))).tolist() == [[0, 0]]


def test_the_iou_agrees_with_a_plain_loop() -> None:
    a, b = random_boxes(1, 30)[0], random_boxes(2, 40)[0]

    np.testing.assert_allclose(boxes.iou(a, b), [[plain_iou(i, j) for j in b] for i in a], atol=1e-6)


def test_no_boxes_at_all() -> None:
    nothing = np.zeros(0, np.float32)

    assert boxes.areas(NONE).shape == (0,)
    assert boxes.clip(NONE, width=5, height=5).shape == (0, 4)
    assert boxes.iou(NONE, xyxy((0, 0, 1, 1))).shape == (0, 1)
    assert nms(NONE, nothing, 0.5).shape == (0,)
    assert nms(NONE, nothing, 0.5).dtype == np.int64


def test_nms_drops_what_is_over_the_threshold_and_not_what_is_at_it() -> None:
    # These two have an IoU of exactly 0.5.
    pair = xyxy((0, 0, 10, 10), (0, 0, 10, 5))
    scores = np.array([0.9, 0.8], np.float32)

    assert nms(pair, scores, 0.5).tolist() == [0, 1]
    assert nms(pair, scores, 0.4999).tolist() == [0]


def test_nms_keeps_what_only_a_dropped_box_overlaps() -> None:
    chain = xyxy((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))

    assert nms(chain, np.array([0.9, 0.8, 0.7], np.float32), 0.3).tolist() == [0, 2]


def test_nms_prefers_the_earlier_of_equal_scores() -> None:
    same = xyxy(*[(0, 0, 10, 10)] * 3)

    assert nms(same, np.full(3, 0.5, np.float32), 0.5).tolist() == [0]


def test_nms_returns_the_best_first() -> None:
    apart = xyxy((0, 0, 1, 1), (10, 0, 11, 1), (20, 0, 21, 1))

    assert nms(apart, np.array([0.1, 0.9, 0.5], np.float32), 0.5).tolist() == [1, 2, 0]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 300])
@pytest.mark.parametrize("iou_threshold", [0.0, 0.3, 0.6, 1.0])
def test_nms_agrees_with_a_plain_loop(count: int, iou_threshold: float) -> None:
    found, scores = random_boxes(count, count)

    assert nms(found, scores, iou_threshold).tolist() == plain_nms(found, scores, iou_threshold)


def test_nms_per_class_leaves_other_classes_alone() -> None:
    same = xyxy(*[(0, 0, 10, 10)] * 4)
    scores = np.array([0.2, 0.9, 0.8, 0.4], np.float32)

    kept = boxes.nms_per_class(same, scores, np.array([7, 3, 3, 7]), 0.5, 4)

    assert kept.tolist() == [1, 3]


@pytest.mark.parametrize("most", [1, 30, 64, 200])
@pytest.mark.parametrize("iou_threshold", [0.1, 0.4, 0.7])
def test_nms_per_class_agrees_with_a_plain_loop_over_the_classes(iou_threshold: float, most: int) -> None:
    found, scores = random_boxes(5, 200)
    scores = scores.round(2)  # many are equal
    class_ids = np.random.default_rng(6).integers(0, 4, 200)
    kept: list[int] = []
    for class_id in range(4):
        members = np.flatnonzero(class_ids == class_id)
        kept += [int(members[i]) for i in plain_nms(found[members], scores[members], iou_threshold)]
    kept.sort(key=lambda i: (-scores[i], class_ids[i], i))

    assert boxes.nms_per_class(found, scores, class_ids, iou_threshold, most).tolist() == kept[:most]


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((1.25, 2.5, 8.0, 7.0), (1, 2, 8, 7)),
        ((3, 4, 4, 5), (3, 4, 4, 5)),
        ((3, 4, 3, 4), (3, 4, 4, 5)),
        ((63.9, 10.2, 64, 10.4), (63, 10, 64, 11)),
        ((64, 48, 64, 48), (63, 47, 64, 48)),
    ],
)
def test_a_box_touches_one_pixel_at_least_and_none_outside_the_picture(
    box: tuple[float, float, float, float], pixels: tuple[int, int, int, int]
) -> None:
    assert boxes.pixels_of(box, width=64, height=48) == pixels
