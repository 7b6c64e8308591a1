import numpy as np
import pytest
from pycocotools import mask as coco

from flask_detector.structures.masks import Bitmap, Mask, compress_counts, decompress_counts


def random_bitmap(seed: int) -> Bitmap:
    """Make a bitmap of random size with random runs: from noise to few large patches."""
    chance = np.random.default_rng(seed)
    height, width = chance.integers(1, 40, 2)
    patch = int(chance.integers(1, 12))
    coarse = chance.random((height // patch + 1, width // patch + 1)) < chance.uniform(0.05, 0.95)
    fine: Bitmap = coarse.repeat(patch, axis=0).repeat(patch, axis=1)[:height, :width]
    return fine


def in_picture(mask: Mask, width: int, height: int) -> Bitmap:
    picture = np.zeros((height, width), bool)
    picture[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
    return picture


@pytest.mark.parametrize("seed", range(50))
def test_a_bitmap_survives_and_has_its_area(seed: int) -> None:
    bitmap = random_bitmap(seed)

    mask = Mask.from_bitmap(bitmap, x=3, y=5)

    np.testing.assert_array_equal(mask.bitmap(), bitmap)
    assert (mask.x, mask.y, mask.width, mask.height) == (3, 5, bitmap.shape[1], bitmap.shape[0])
    assert mask.area == bitmap.sum()


@pytest.mark.parametrize("seed", range(50))
def test_the_encoding_is_that_of_pycocotools(seed: int) -> None:
    bitmap = random_bitmap(seed)
    chance = np.random.default_rng(seed)
    x, y, right, below = (int(n) for n in chance.integers(0, 9, 4))
    height, width = bitmap.shape[0] + y + below, bitmap.shape[1] + x + right
    picture = np.zeros((height, width), np.uint8, order="F")
    picture[y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = bitmap

    rle = Mask.from_bitmap(bitmap, x=x, y=y).to_rle(width=width, height=height)

    expected = coco.encode(picture)
    assert rle == {"size": [height, width], "counts": expected["counts"].decode()}
    assert coco.area(rle) == bitmap.sum()


@pytest.mark.parametrize("seed", range(50))
def test_an_encoding_of_pycocotools_is_read_and_cropped(seed: int) -> None:
    picture = np.asfortranarray(np.pad(random_bitmap(seed), ((4, 2), (0, 7))).astype(np.uint8))
    encoded = coco.encode(picture)
    height, width = picture.shape

    mask = Mask.from_rle({"size": encoded["size"], "counts": encoded["counts"].decode()})

    np.testing.assert_array_equal(in_picture(mask, width, height), picture.astype(bool))
    x, y, box_width, box_height = coco.toBbox(encoded).tolist()
    if picture.any():
        assert (mask.x, mask.y, mask.width, mask.height) == (x, y, box_width, box_height)


def test_plain_run_lengths_are_read_too() -> None:
    mask = Mask.from_rle({"size": [2, 3], "counts": [1, 2, 3]})

    assert (mask.x, mask.y) == (0, 0)
    assert mask.bitmap().tolist() == [[False, True], [True, False]]


def test_an_empty_mask() -> None:
    mask = Mask.from_bitmap(np.zeros((4, 6), bool), x=1, y=2)

    assert mask.area == 0
    assert not mask.bitmap().any()
    rle = mask.to_rle(width=10, height=10)
    assert rle["counts"] == coco.encode(np.zeros((10, 10), np.uint8, order="F"))["counts"].decode()
    again = Mask.from_rle(rle)
    assert (again.width, again.height, again.area) == (0, 0, 0)
    assert again.bitmap().shape == (0, 0)
    assert again.to_rle(width=10, height=10) == rle


def test_a_full_mask() -> None:
    mask = Mask.from_bitmap(np.ones((4, 6), bool))

    rle = mask.to_rle(width=6, height=4)

    assert mask.counts.tolist() == [0, 24]
    assert rle["counts"] == coco.encode(np.ones((4, 6), np.uint8, order="F"))["counts"].decode()
    assert Mask.from_rle(rle).bitmap().all()


def test_a_mask_of_no_pixels_has_no_runs_inside() -> None:
    mask = Mask.from_bitmap(np.zeros((0, 0), bool))

    assert mask.area == 0
    assert Mask.from_rle(mask.to_rle(width=3, height=3)).area == 0


def test_a_run_across_columns_is_cut_where_the_picture_is_higher() -> None:
    # Both columns are full, so that the bitmap is one run; in the higher picture they are two.
    mask = Mask.from_bitmap(np.ones((3, 2), bool), x=1, y=1)

    rle = mask.to_rle(width=4, height=5)

    assert decompress_counts(rle["counts"]).tolist() == [6, 3, 2, 3, 6]


def test_a_run_across_columns_stays_one_where_the_picture_is_as_high() -> None:
    mask = Mask.from_bitmap(np.ones((3, 2), bool), x=1)

    assert decompress_counts(mask.to_rle(width=4, height=3)["counts"]).tolist() == [3, 6, 3]


def test_a_mask_that_leaves_the_picture_is_not_encoded() -> None:
    mask = Mask.from_bitmap(np.ones((3, 2), bool), x=1, y=1)

    for width, height in ((2, 9), (9, 3)):
        with pytest.raises(ValueError, match="within the picture"):
            mask.to_rle(width=width, height=height)


@pytest.mark.parametrize("counts", [[0, 5], [4, 3], []])
def test_runs_that_do_not_fill_the_bitmap_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="add up"):
        Mask(0, 0, 2, 3, np.array(counts, np.uint32))


@pytest.mark.parametrize("place", [(-1, 0, 2, 3), (0, -1, 2, 3), (0, 0, -2, -3)])
def test_negative_places_and_sizes_are_refused(place: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        Mask(*place, np.array([6], np.uint32))


@pytest.mark.parametrize(
    "rle",
    [
        {},
        {"size": [2, 3]},
        {"size": [2], "counts": [6]},
        {"size": None, "counts": [6]},
        {"size": [2, 3], "counts": None},
        {"size": [2, 3], "counts": [[6]]},
        {"size": [2, 3], "counts": [7]},
        {"size": [2, 3], "counts": [8, -2]},
        {"size": [-2, -3], "counts": [6]},
        {"size": [2, 3], "counts": ["a"]},
        {"size": [2, 3], "counts": [1.5, 5.5]},
        {"size": [2, 3], "counts": "7"},
        {"size": [2, 3], "counts": "é"},
        {"size": [2, 3], "counts": " "},
        {"size": [2, 3], "counts": "f"},
        {"size": [2, 3], "counts": "o" * 40},
        {"size": [2, 3], "counts": b"6"},
        {"size": ["x", 3], "counts": [6]},
        {"size": [2, 3], "counts": {"a": 1}},
        {"size": [2, 3], "counts": [2**63, 6]},
        {"size": [2, 3], "counts": [2**80]},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {"size": [2, 3], "counts": 6},
        {"size": [2, 3], "counts": "o" * 7 + "0" + "6"},
        {"size": [2, 3], "counts": [2**63 - 1, 2**63 - 1, 8]},
        {"size": [2.5, 3], "counts": [6]},
    ],
)
def test_a_malformed_encoding_is_refused(rle: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Mask.from_rle(rle)


def test_run_lengths_survive_compression() -> None:
    counts = np.array([0, 1, 15, 16, 31, 32, 1000, 5, 2**31, 3, 2**32 - 1, 0, 7], np.uint32)

    assert decompress_counts(compress_counts(counts)).tolist() == counts.tolist()


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [0, 0], "counts": [2**62] * 4},  # add up to zero in 64 bits
        {"size": [2**20, 2**20], "counts": [2**31] * 512},
        {"size": [1, 2**33], "counts": [2**33]},
    ],
)
def test_run_lengths_beyond_32_bits_are_refused(rle: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        Mask.from_rle(rle)
