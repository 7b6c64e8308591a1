"""What is refused by its header, or by what there is of its pixels: damaged files, too large ones, bombs."""

import concurrent.futures
import io
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flask_detector.errors import (
    DamagedPicture,
    EmptyPicture,
    PictureError,
    PictureTooLarge,
    TooManyPixels,
)
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits
from tests.support.pictures import (
    BLUE,
    FORMATS,
    GREEN,
    RED,
    YELLOW,
    assert_corners,
    corners,
    noise,
    png_of,
    written,
)

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)

VARIANTS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: written(noise(), "JPEG"),
    "progressive jpeg": lambda: written(noise(), "JPEG", progressive=True),
    "grey jpeg": lambda: written(noise().convert("L"), "JPEG"),
    "cmyk jpeg": lambda: written(noise().convert("CMYK"), "JPEG"),
    "png": lambda: written(noise(), "PNG"),
    "palette png": lambda: written(noise().convert("P"), "PNG"),
    "1-bit png": lambda: written(noise().convert("1"), "PNG"),
    "webp": lambda: written(noise(), "WEBP"),
    "lossless webp": lambda: written(noise(), "WEBP", lossless=True),
    "avif": lambda: written(noise(), "AVIF"),
    "heic": lambda: written(noise(), "HEIF"),
    "gif": lambda: written(noise(), "GIF"),
    "bmp": lambda: written(noise(), "BMP"),
    "palette bmp": lambda: written(noise().convert("P"), "BMP"),
    "tiff": lambda: written(noise(), "TIFF"),
    "lzw tiff": lambda: written(noise(), "TIFF", compression="tiff_lzw"),
    "deflate tiff": lambda: written(noise(), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg tiff": lambda: written(noise(), "TIFF", compression="jpeg"),
    "packbits tiff": lambda: written(noise(), "TIFF", compression="packbits"),
    "fax tiff": lambda: written(noise().convert("1"), "TIFF", compression="group4"),
}


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(EmptyPicture):
        check(b"", LIMITS)
    with pytest.raises(EmptyPicture):
        decode(io.BytesIO(), LIMITS)


def test_too_many_bytes_are_refused_with_both_numbers() -> None:
    with pytest.raises(PictureTooLarge, match=r"The file has 3\.0 MB; at most 2\.5 are accepted here\."):
        check(bytes(3_000_000), Limits(2_500_000, 100))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_too_many_pixels_are_refused(picture_format: str) -> None:
    data = written(corners(1000, 500), picture_format)

    assert check(data, Limits(10_000_000, 500_000)).width == 1000
    for read in (check, decode):
        with pytest.raises(TooManyPixels, match=r"at most 0\.499999 are|more than 0\.499999 million"):
            read(data, Limits(10_000_000, 499_999))


def test_the_message_about_pixels_has_both_numbers() -> None:
    data = written(Image.new("1", (12_000, 10_000)), "PNG")

    with pytest.raises(
        TooManyPixels, match=r"The picture has 120\.0 million pixels; at most 50 are accepted here\."
    ):
        check(data, Limits(10_000_000, 50_000_000))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_truncated_file_is_refused_unless_all_its_pixels_are_there(variant: str) -> None:
    data = VARIANTS[variant]()
    whole, _ = decode(data, LIMITS)
    ends = {len(data) // 2, len(data) * 95 // 100, *range(len(data) - 12, len(data), 3)}
    ends |= set(random.Random(1).sample(range(16, len(data)), 25))

    refused = 0
    for end in ends:
        try:
            picture, _ = decode(data[:end], LIMITS)
        except DamagedPicture:
            refused += 1
        else:
            assert end > len(data) - 100, "only an end mark may be missing"
            np.testing.assert_array_equal(picture, whole)
    assert refused >= len(ends) // 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_check_tells_of_a_truncated_file_what_it_tells_of_the_whole_or_refuses_it(variant: str) -> None:
    data = VARIANTS[variant]()
    whole = check(data, LIMITS)
    for end in range(16, len(data), 101):
        try:
            assert check(data[:end], LIMITS) == whole
        except DamagedPicture:
            continue


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_check_decodes_no_pixel(picture_format: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(written(corners(), picture_format))
    large.write_bytes(written(Image.new("RGB", (2400, 1600), RED), picture_format))
    script = """
import sys
from flask_detector.imaging.decode import check
from flask_detector.imaging.limits import Limits

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

peaks = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        check(file, Limits(10**8, 10**8))
    peaks.append(peak())
print(peaks[1] - peaks[0])
"""
    result = subprocess.run(
        [sys.executable, "-c", script, small, large], capture_output=True, text=True, check=True
    )

    whole_file = large.stat().st_size // 1000 if picture_format in {"WEBP", "AVIF", "HEIF"} else 0
    assert int(result.stdout) < 3 * whole_file + 2_000, "kilobytes; the pixels are 11 MB"


def jpeg_of_a_million_segments() -> bytes:
    """Make a header whose segments a reader would glue together, each time copying all before."""
    return b"\xff\xd8" + b"\xff\xe1\x00\x0cExif\0\0junk" * 1_000_000


@pytest.mark.parametrize(
    "data",
    [
        jpeg_of_a_million_segments,
        lambda: b"\xff\xd8\xff\xe0\x00\x02" + b"junk" * 4_000_000,
        lambda: (
            png_of({b"IHDR": struct.pack(">2I5B", 9, 9, 8, 2, 0, 0, 0)})
            + (bytes(4) + b"prVt" + struct.pack(">I", zlib.crc32(b"prVt"))) * 1_000_000
        ),
        lambda: b"GIF89a" + struct.pack("<2H3B", 16, 16, 0, 0, 0) + b"!\xfe\x01a\0" * 2_000_000,
    ],
    ids=["jpeg of segments", "jpeg of junk", "png of chunks", "gif of comments"],
)
def test_a_header_without_end_is_given_up(data: Callable[[], bytes]) -> None:
    hostile = data()
    for read in (check, decode):
        start = time.process_time()
        with pytest.raises(DamagedPicture):
            read(hostile, Limits(25_000_000, 1_000_000))
        assert time.process_time() - start < 10, "it would take minutes to read"


@pytest.mark.parametrize("variant", VARIANTS)
def test_corrupt_bytes_raise_nothing_but_picture_errors(
    variant: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = VARIANTS[variant]()
    outcomes = set()
    for seed in range(40):
        chance = random.Random(seed)
        corrupt = bytearray(data)
        for _ in range(chance.choice([1, 3, 20])):
            reach = min(len(data), 300) if chance.random() < 0.5 else len(data)
            corrupt[chance.randrange(reach)] = chance.randrange(256)
        for read in (check, decode):
            try:
                read(bytes(corrupt), LIMITS)
            except PictureError:
                outcomes.add("refused")
    assert "refused" in outcomes


def test_a_picture_with_corrupt_metadata_is_read_without_warnings() -> None:
    exif = (
        b"Exif\x00\x00II\x2a\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff\x0f"
    )
    data = written(corners(), "JPEG", exif=exif)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture, _ = decode(data, LIMITS)

    assert_corners(picture, RED, GREEN, BLUE, YELLOW)


def test_many_threads_can_check_at_once() -> None:
    files = [VARIANTS[variant]() for variant in VARIANTS] * 4
    expected = [(check(data, LIMITS).width, check(data, LIMITS).format) for data in files]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda data: check(data, LIMITS), files))

    assert [(info.width, info.format) for info in found] == expected


def png_bomb() -> bytes:
    return png_of(
        {
            b"IHDR": struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0),
            b"IDAT": zlib.compress(bytes(20_000_000), 9),
            b"IEND": b"",
        }
    )


def gif_bomb() -> bytes:
    """Make a small canvas with a first frame of 16000 x 16000 that is to be disposed of."""
    control = b"!\xf9\x04" + bytes([0b1000, 0, 0, 0, 0])
    frame = b"," + struct.pack("<4HB", 0, 0, 16_000, 10_000, 0) + b"\x02\x02\x4c\x01\x00;"
    return b"GIF89a" + struct.pack("<2H3B", 16, 16, 0x80, 0, 0) + bytes(range(6)) + control + frame


def tiff_bomb() -> bytes:
    """Make a picture of one pixel, kept in one tile of 20000 x 20000."""
    tags = [
        (256, 4, 1),
        (257, 4, 1),
        (258, 3, 8),
        (259, 3, 8),
        (262, 3, 1),
        (277, 3, 1),
        (322, 4, 20_000),
        (323, 4, 20_000),
        (324, 4, 8),
        (325, 4, 4),
    ]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II\x2a\x00" + struct.pack("<IIH", 12, 0, len(tags)) + body + bytes(4)


def webp_bomb() -> bytes:
    data = bytearray(written(corners().convert("RGBA"), "WEBP", exif=b"Exif\x00\x00" + bytes(10)))
    assert data[12:16] == b"VP8X"
    data[24:27] = data[27:30] = (16_000 - 1).to_bytes(3, "little")
    return bytes(data)


def avif_bomb() -> bytes:
    data = written(corners(), "AVIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">2I", 16_000, 16_000) + data[at + 8 :]


def heic_bomb() -> bytes:
    data = written(corners(), "HEIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">2I", 16_000, 16_000) + data[at + 8 :]


def jpeg_bomb() -> bytes:
    data = written(corners(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">2H", 60_000, 60_000) + data[at + 4 :]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    "bomb",
    [png_bomb, gif_bomb, tiff_bomb, webp_bomb, avif_bomb, heic_bomb, jpeg_bomb],
    ids=lambda b: b.__name__,
)
def test_a_decompression_bomb_is_refused_before_it_costs_memory(
    bomb: Callable[[], bytes], tmp_path: Path
) -> None:
    data = bomb()
    assert len(data) < 30_000
    path = tmp_path / "bomb"
    path.write_bytes(data)
    script = """
import sys
from flask_detector.errors import TooManyPixels
from flask_detector.imaging.decode import check
from flask_detector.imaging.limits import Limits

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

# What reading any picture of the format needs, its libraries first of all.
check(open(sys.argv[2], "rb").read(), Limits(10**7, 10**6))
before = peak()
try:
    check(open(sys.argv[1], "rb").read(), Limits(10**7, 50 * 10**6))
except TooManyPixels:
    print(peak() - before)
"""
    picture_format = bomb.__name__.removesuffix("_bomb").upper().replace("HEIC", "HEIF")
    harmless = tmp_path / "harmless"
    harmless.write_bytes(written(corners(), picture_format))

    result = subprocess.run(
        [sys.executable, "-c", script, path, harmless], capture_output=True, text=True, check=False
    )

    assert result.stderr == ""
    assert result.stdout, "the bomb must be refused for its pixels"
    assert int(result.stdout) < 4_000, "kilobytes above what a small picture takes"
