"""Outlines of masks: filled again, they are the mask."""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from flask_detector.structures.masks import Bitmap, Mask
from flask_detector.structures.polygons import Part, Ring, as_one_ring, mask_of, parts_of, without_holes

X, Y = 3, 2


def bitmap_of(*rows: str) -> Bitmap:
    return np.array([[character == "#" for character in row] for row in rows])


def random_bitmaps() -> list[Bitmap]:
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 14, (150, 2))
    return [rng.random((height, width)) < rng.random() for height, width in sizes]


CASES = {
    "a pixel": bitmap_of("#"),
    "a hole": bitmap_of("#####", "#.#.#", "#####"),
    "pixels that touch at a corner": bitmap_of("#.", ".#"),
    "a hole that touches the outline at a corner": bitmap_of("###.", "#.##", "####", ".###"),
    "a part within a hole": bitmap_of("#####", "#...#", "#.#.#", "#...#", "#####"),
    "a diamond": bitmap_of("#####", "##.##", "#.#.#", "##.##", "#####"),
    "a ring that closes at a corner": bitmap_of(".##", "#.#", "###"),
    "stairs": np.tri(9, dtype=bool),
    "all": np.ones((4, 6), bool),
    "nothing": np.zeros((4, 6), bool),
}


def filled(rings: Sequence[Ring], height: int, width: int) -> Bitmap:
    """Fill by even and odd crossings to the left of the centres of pixels."""
    crossings = np.zeros((height, width), int)
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
            assert x1 == x2 or y1 == y2
            if x1 == x2:
                crossings[min(y1, y2) : max(y1, y2), x1:] += 1
    inside: Bitmap = crossings % 2 == 1
    return inside


def in_picture(bitmap: Bitmap) -> Bitmap:
    return np.pad(bitmap, ((Y, 1), (X, 1)))


def flat(rings: Sequence[Ring]) -> list[list[float]]:
    return [ring.astype(float).ravel().tolist() for ring in rings]


@pytest.mark.parametrize("name", CASES)
def test_the_outlines_of_a_case_filled_again_are_the_mask(name: str) -> None:
    check(CASES[name])


def test_the_outlines_of_any_bitmap_filled_again_are_the_mask() -> None:
    for bitmap in random_bitmaps():
        check(bitmap)


def check(bitmap: Bitmap) -> None:
    whole = in_picture(bitmap)
    parts = parts_of(Mask.from_bitmap(bitmap, x=X, y=Y))
    every = [ring for part in parts for ring in (part.outer, *part.holes)]
    for rings in (every, [without_holes(part) for part in parts], [as_one_ring(parts)]):
        np.testing.assert_array_equal(filled(rings, *whole.shape), whole)
    form = [[ring.tolist() for ring in (part.outer, *part.holes)] for part in parts]
    again = mask_of(form, width=whole.shape[1], height=whole.shape[0])
    placed = np.zeros_like(whole)
    placed[again.y : again.y + again.height, again.x : again.x + again.width] = again.bitmap()
    np.testing.assert_array_equal(placed, whole)


# pycocotools 2.0.11 is older than NumPy 2's __array__.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_pycocotools_fills_the_polygons_without_a_pixels_difference() -> None:
    for bitmap in [*CASES.values(), *random_bitmaps()]:
        if not bitmap.any():
            continue
        whole = in_picture(bitmap)
        parts = parts_of(Mask.from_bitmap(bitmap, x=X, y=Y))
        for rings in ([without_holes(part) for part in parts], [as_one_ring(parts)]):
            encoded = coco_mask.merge(coco_mask.frPyObjects(flat(rings), *whole.shape))
            np.testing.assert_array_equal(coco_mask.decode(encoded).astype(bool), whole)


def test_no_ring_comes_back_to_a_corner() -> None:
    for bitmap in [*CASES.values(), *random_bitmaps()]:
        for part in parts_of(Mask.from_bitmap(bitmap)):
            for ring in (part.outer, *part.holes):
                assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)


def signed_area(ring: npt.NDArray[np.int64]) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def test_outer_rings_run_clockwise_and_their_holes_the_other_way() -> None:
    (part,) = parts_of(Mask.from_bitmap(CASES["a hole"]))
    assert part.outer.tolist() == [[0, 0], [5, 0], [5, 3], [0, 3]]
    assert signed_area(part.outer) == 15
    assert [signed_area(hole) for hole in part.holes] == [-1, -1]


def test_parts_come_largest_first_each_with_its_own_holes() -> None:
    large, small = parts_of(Mask.from_bitmap(CASES["a part within a hole"]))
    assert (signed_area(large.outer), signed_area(small.outer)) == (25, 1)
    assert (len(large.holes), len(small.holes)) == (1, 0)
    diagonal = parts_of(Mask.from_bitmap(CASES["pixels that touch at a corner"]))
    assert [signed_area(part.outer) for part in diagonal] == [1, 1]


def test_an_empty_mask_has_no_parts() -> None:
    assert parts_of(Mask.from_bitmap(CASES["nothing"])) == []
    assert as_one_ring([]).shape == (0, 2)
    assert mask_of([], width=5, height=5).area == 0


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        ([[0, 0], [2, 1]], "three corners"),
        ([[0, 0], [2, 1], [2]], "three corners"),
        ([[0, 0], [2, "1"], [2, 2]], "three corners"),
        ([0, 0, 2, 1], "three corners"),
        ([[0, 0], [9, 0], [9, 1], [0, 1]], "within the picture"),
        ([[0, 0], [-0.5, 0], [1, 1]], "within the picture"),
        ([[0, 0], [np.nan, 0], [1, 1]], "within the picture"),
        ([[0, 0], [8, 1]] * 200_000, "columns of pixels"),
    ],
)
def test_a_ring_that_is_no_outline_is_refused(ring: list[list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mask_of([[ring]], width=8, height=8)


def covered(parts: list[list[list[list[float]]]], width: int, height: int) -> Bitmap:
    """Tell of each pixel's centre whether any part has it within an odd number of rings."""
    found = np.zeros((height, width), bool)
    for part in parts:
        for row in range(height):
            for column in range(width):
                x, y, crossings = column + 0.5, row + 0.5, 0
                for ring in part:
                    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
                        if min(x1, x2) <= x < max(x1, x2):
                            crossings += y1 + (x - x1) / (x2 - x1) * (y2 - y1) <= y
                found[row, column] |= crossings % 2 == 1
    return found


def test_any_outlines_are_filled_by_the_centres_of_pixels_and_parts_add_up() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        parts = [[rng.uniform(0, 9, (rng.integers(3, 7), 2)).round(3).tolist()] for _ in range(3)]
        parts[0].append(rng.uniform(2, 7, (3, 2)).tolist())
        mask = mask_of(parts, width=9, height=10)
        filled_here = np.zeros((10, 9), bool)
        filled_here[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
        np.testing.assert_array_equal(filled_here, covered(parts, 9, 10))


def test_a_mask_of_noise_with_thousands_of_parts_and_holes_is_no_trap() -> None:
    noise = np.random.default_rng(3).random((300, 300)) < 0.6
    start = time.process_time()
    parts: list[Part] = parts_of(Mask.from_bitmap(noise))
    assert sum(len(part.holes) for part in parts) > 1000
    # By comparing each hole with each part it took minutes.
    assert time.process_time() - start < 30
