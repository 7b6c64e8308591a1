"""JPEG files that lack pixels although they end as they should, and odd ones that lack none."""

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from flask_detector.errors import DamagedPicture
from flask_detector.imaging.decode import decode, load
from flask_detector.imaging.jpeg_scans import check_whole
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import DecodedPixels

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
END = b"\xff\xd9"

KINDS: dict[str, dict[str, Any]] = {
    "4:2:0": {},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:4:4": {"subsampling": "4:4:4"},
    "good": {"quality": 98},
    "poor": {"quality": 20},
    "optimised": {"optimize": True},
    "restarts each row": {"restart_marker_rows": 1},
    "restarts each seven blocks": {"restart_marker_blocks": 7},
    "progressive": {"progressive": True},
    "progressive, 4:4:4": {"progressive": True, "subsampling": "4:4:4"},
    "grey": {"mode": "L"},
    "grey, progressive": {"mode": "L", "progressive": True},
    "cmyk": {"mode": "CMYK"},
    "stored in RGB": {"keep_rgb": True},
}


def picture(width: int = 205, height: int = 147) -> Image.Image:
    down, across = np.mgrid[:height, :width].astype(np.float32)
    noise = np.random.default_rng(5).normal(0, 12, (height, width))
    waves = [127 + 90 * np.sin(down / 9) + noise, 127 + 90 * np.cos(across / 8), (down + across) % 256]
    return Image.fromarray(np.clip(np.stack(waves, axis=2), 0, 255).astype(np.uint8))


def jpeg(*, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    picture().convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_that_ends_early_is_noticed_though_an_end_marker_follows(kind: str) -> None:
    whole = jpeg(**KINDS[kind])
    begins = whole.rindex(b"\xff\xda")  # of the last scan
    lengths = [len(whole) - count for count in (6, 10, 20, 50) if len(whole) - count > begins + 20]
    lengths += [len(whole) * share // 100 for share in (30, 50, 75, 90, 99)]
    for length in lengths:
        for max_side in (None, 100):
            with pytest.raises(DamagedPicture):
                load(whole[:length] + END, LIMITS, max_side=max_side)


@pytest.mark.parametrize("kind", KINDS)
def test_what_plays_no_part_in_the_pixels_changes_nothing(kind: str) -> None:
    whole = jpeg(**KINDS[kind])
    expected, _ = decode(whole, LIMITS)
    at = 4 + int.from_bytes(whole[4:6], "big")  # behind the first segment
    application = b"\xff\xe5\x00\x08broken\xff\xe1\x00\x0aExif\0\0\xff\xff\xff\xfe\x00\x04\xff\xd9"
    odd = {
        "no end marker": whole[:-2],
        "other things behind": whole + b"SEFT" + bytes(500) + whole[:400],
        "bytes between scan and end": whole[:-2] + b"\x01\x02\x03" + END,
        "filling before the end": whole[:-2] + b"\xff\xff\xff" + END,
        "bytes between segments": whole[:at] + b"\x00\x11\x22" + whole[at:],
        "meaningless segments": whole[:at] + application + whole[at:],
    }
    for case, data in odd.items():
        found, _ = decode(data, LIMITS)
        np.testing.assert_array_equal(found, expected, err_msg=case)


@pytest.mark.parametrize("max_side", [None, 100, 50, 20])
@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_that_pillow_decodes(kind: str, orientation: int, max_side: int | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(exif=exif, **KINDS[kind])
    found, _ = load(data, LIMITS, max_side=max_side)
    expected = Image.open(io.BytesIO(data))
    expected.draft(None, (expected.width // found.reduced, expected.height // found.reduced))
    upright = ImageOps.exif_transpose(expected)
    np.testing.assert_array_equal(found.array(), np.asarray(upright.convert("RGB")))
    np.testing.assert_array_equal(found[3:9], found.array()[3:9])
    assert isinstance(found, DecodedPixels) or kind == "cmyk", "it was decoded twice"


def scans(data: bytes) -> list[int]:
    """Return where the scans of a progressive file begin, with the tables before them."""
    places, at = [], data.index(b"\xff\xda")
    while at != -1:
        places.append(at)
        at = data.find(b"\xff\xda", at + 1)
    return places


def test_a_progressive_picture_that_lacks_its_last_scans_is_damaged() -> None:
    whole = jpeg(progressive=True)
    places = scans(whole)
    assert len(places) > 4
    for place in places[1:]:
        with pytest.raises(DamagedPicture):
            decode(whole[:place] + END, LIMITS)


def test_a_hole_within_a_restart_interval_is_noticed() -> None:
    whole = jpeg(restart_marker_rows=1)
    at = whole.index(b"\xff\xd2")
    with pytest.raises(DamagedPicture):
        decode(whole[: at - 40] + whole[at:], LIMITS)


def test_a_size_that_was_made_larger_is_noticed() -> None:
    whole = jpeg()
    at = whole.index(b"\xff\xc0") + 5
    with pytest.raises(DamagedPicture):
        decode(whole[:at] + (400).to_bytes(2, "big") + whole[at + 2 :], LIMITS)


def test_the_good_pictures_that_there_are_raise_no_alarm(shared: Path) -> None:
    files = [*shared.glob("coco_val50/images/*.jpg"), *shared.glob("teach/*/images/*.jpg")]
    assert len(files) > 100
    for file in files:
        check_whole(file.read_bytes())


@pytest.mark.parametrize("change", [bytes, lambda data: data[::-1]], ids=["zeros", "backwards"])
def test_a_segment_that_makes_no_sense_raises_nothing_else(change: Callable[[bytes], bytes]) -> None:
    whole = jpeg(progressive=True)
    for seed in range(60):
        chance = random.Random(seed)
        start = chance.randrange(2, len(whole) - 20)
        length = chance.randrange(1, 20)
        part = change(whole[start : start + length])
        try:
            check_whole(whole[:start] + part + whole[start + length :])
        except OSError:
            continue


def test_the_camera_s_half_picture_is_damaged(shared: Path) -> None:
    with pytest.raises(DamagedPicture):
        decode((shared / "cases" / "half_plus_eoi.jpg").read_bytes(), LIMITS)
