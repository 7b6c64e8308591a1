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
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms

from flask_detector.errors import (
    DamagedPicture,
    EmptyPicture,
    PictureError,
    PictureTooLarge,
    TooManyPixels,
)
from flask_detector.imaging.decode import PictureInfo, check, decode
from flask_detector.imaging.encode import encode, output_format, transcode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.sniff import media_type

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
RED, GREEN, BLUE, YELLOW = (220, 30, 40), (30, 200, 60), (40, 60, 210), (230, 220, 40)
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Make a picture whose quarters are red, green (top right), blue (bottom left) and yellow."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = YELLOW
    return Image.fromarray(pixels)


def noise(width: int = 96, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def written(image: Image.Image, picture_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    if picture_format == "HEIF":
        heif = pillow_heif.from_pillow(image)
        heif.info.update(options)
        heif.save(file, quality=95)
    else:
        image.save(file, picture_format, **options)
    return file.getvalue()


def assert_corners(
    picture: npt.NDArray[np.uint8], *colours: tuple[int, int, int], tolerance: int = 12
) -> None:
    """Compare the middle of each quarter: top left, top right, bottom left, bottom right."""
    height, width, _ = picture.shape
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    for (y, x), colour in zip(places, colours, strict=True):
        assert np.abs(picture[y, x].astype(int) - colour).max() <= tolerance, (y, x, picture[y, x], colour)


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


@pytest.mark.parametrize("picture_format", MEDIA_TYPES)
def test_each_format_is_read_by_its_content(picture_format: str) -> None:
    data = written(corners(), picture_format)

    picture, info = decode(data, LIMITS)

    assert info == PictureInfo(picture_format, MEDIA_TYPES[picture_format], 96, 64)
    assert check(data, LIMITS) == info
    assert check(io.BytesIO(data), LIMITS) == info
    assert picture.shape == (64, 96, 3)
    assert picture.dtype == np.uint8
    assert_corners(picture, RED, GREEN, BLUE, YELLOW)


def test_a_file_object_stays_open_and_is_read_from_its_start(tmp_path: Path) -> None:
    for picture_format in MEDIA_TYPES:
        # WebP under a name that says JPEG, and so on: the name plays no part.
        path = tmp_path / "picture.jpg"
        path.write_bytes(written(corners(), picture_format))
        with path.open("rb") as file:
            file.seek(10)
            assert check(file, LIMITS).format == picture_format
            assert not file.closed
            assert decode(file, LIMITS)[1].format == picture_format
            assert not file.closed


def test_a_jpeg_of_several_pictures_is_its_first() -> None:
    data = written(corners(), "MPO", save_all=True, append_images=[noise()])

    picture, info = decode(data, LIMITS)

    assert info.format == "JPEG"
    assert_corners(picture, RED, GREEN, BLUE, YELLOW)


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_an_animation_is_its_first_picture(picture_format: str) -> None:
    data = written(corners(), picture_format, save_all=True, append_images=[noise(), noise()])

    assert_corners(decode(data, LIMITS)[0], RED, GREEN, BLUE, YELLOW)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(picture_format: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = corners()
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = written(stored, picture_format, exif=exif.tobytes())

    picture, info = decode(data, LIMITS)

    assert (info.width, info.height) == (96, 64)
    assert picture.shape == (64, 96, 3)
    assert_corners(picture, RED, GREEN, BLUE, YELLOW)
    assert check(data, LIMITS) == info


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_transparent_pixels_of_a_png_become_white(mode: str) -> None:
    image = Image.new("RGB", (40, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 20, 20))
    converted = image.quantize(2) if mode == "P" else image.convert(mode)
    black = converted.getpixel((0, 0))

    picture, _ = decode(written(converted, "PNG", transparency=black), LIMITS)

    assert (picture == 255).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("picture_format", ["PNG", "WEBP", "TIFF"])
def test_an_alpha_channel_is_laid_over_white(mode: str, picture_format: str) -> None:
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (20, 0, 40, 20))
    options = {"lossless": True} if picture_format == "WEBP" else {}

    picture, _ = decode(written(image.convert(mode), picture_format, **options), LIMITS)

    assert (picture[:, :20] == 255).all()
    assert (picture[:, 20:] == 127).all()


def test_a_palette_with_many_alphas_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putdata([0, 1])

    picture, _ = decode(written(image, "PNG", transparency=bytes([0, 128])), LIMITS)

    assert picture[0].tolist() == [[255, 255, 255], [127, 127, 127]]


def test_a_transparent_gif_is_laid_over_white() -> None:
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (20, 0, 40, 20))

    picture, _ = decode(written(image, "GIF"), LIMITS)

    assert picture[10, 5].tolist() == [255, 255, 255]
    assert picture[10, 30].tolist() == [200, 0, 0]


def test_a_bmp_whose_alpha_was_left_at_zero_is_not_invisible() -> None:
    image = corners().convert("RGBA")
    image.putalpha(0)

    assert_corners(decode(written(image, "BMP"), LIMITS)[0], RED, GREEN, BLUE, YELLOW)


def test_sixteen_bits_of_grey_are_scaled() -> None:
    levels = np.array([[0, 257 * 100, 65535]], np.uint16)

    for picture_format in ("PNG", "TIFF"):
        picture, _ = decode(written(Image.fromarray(levels), picture_format), LIMITS)
        assert picture[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_sixteen_bits_of_rgb_are_scaled() -> None:
    row = b"\x00" + struct.pack(">6H", 0, 257 * 100, 65535, 65535, 257 * 200, 0)
    chunks = {
        b"IHDR": struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(row),
        b"IEND": b"",
    }

    picture, _ = decode(png_of(chunks), LIMITS)

    assert picture[0].tolist() == [[0, 100, 255], [255, 200, 0]]


def test_floats_between_0_and_1_are_black_to_white_and_others_are_stretched() -> None:
    unit = np.array([[0.0, 0.5, 0.8]], np.float32)
    other = np.array([[-100.0, np.nan, 100.0]], np.float32)

    assert decode(written(Image.fromarray(unit), "TIFF"), LIMITS)[0][0, :, 0].tolist() == [0, 128, 204]
    assert decode(written(Image.fromarray(other), "TIFF"), LIMITS)[0][0, :, 0].tolist() == [0, 0, 255]


def test_integers_of_32_bits_are_stretched() -> None:
    levels = np.array([[1000, 2000, 3000]], np.int32)

    picture, _ = decode(written(Image.fromarray(levels), "TIFF"), LIMITS)

    assert picture[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("picture_format", ["JPEG", "TIFF"])
@pytest.mark.parametrize("profile", [None, b"", b"no profile", "of another kind"])
def test_cmyk_without_a_usable_profile_has_its_plain_colours(
    picture_format: str, profile: bytes | str | None
) -> None:
    if isinstance(profile, str):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    picture, info = decode(written(corners().convert("CMYK"), picture_format, icc_profile=profile), LIMITS)

    assert_corners(picture, RED, GREEN, BLUE, YELLOW)
    assert info.icc_profile is None


@pytest.mark.parametrize("picture_format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(picture_format: str) -> None:
    data = written(corners().convert("CMYK"), picture_format, icc_profile=grey_cmyk_profile())

    picture, _ = decode(data, LIMITS)

    # The profile says that coloured ink gives no colour and only black ink darkens.
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert spread.max() <= 2
    assert picture.min() > 100


def grey_cmyk_profile() -> bytes:
    """Make an ICC profile (ICC.1:2001-04, lut8Type) for a press with four inks of which only black shows."""
    identity = bytes(range(256))
    # Lab of each of the 16 corners of the ink cube; black runs fastest.
    corners_of_cube = b"".join(bytes([255 if k == 0 else 0, 128, 128]) for _ in range(8) for k in (0, 1))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + corners_of_cube + identity * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(
        ">I4s4s4s4s4s", 144 + len(lut), b"", bytes([2, 0x20, 0, 0]), b"prtr", b"CMYK", b"Lab "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + lut


def test_the_colour_profile_of_rgb_numbers_is_kept_and_its_pixels_are_left_alone() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    picture, info = decode(written(corners(), "PNG", icc_profile=profile), LIMITS)

    assert_corners(picture, RED, GREEN, BLUE, YELLOW, tolerance=0)
    assert info.icc_profile == profile
    for picture_format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        again = encode(picture, picture_format, icc_profile=profile)
        assert decode(again, LIMITS)[1].icc_profile == profile


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "BMP", "TIFF"])
def test_extreme_shapes_are_read_and_written(size: tuple[int, int], picture_format: str) -> None:
    data = written(Image.new("RGB", size, RED), picture_format)

    picture, info = decode(data, LIMITS)

    assert check(data, LIMITS) == info
    assert (info.width, info.height) == size
    assert np.abs(picture.astype(int) - RED).max() <= 3
    browser, _ = transcode(data, LIMITS, None)
    assert decode(browser, LIMITS)[0].shape == picture.shape


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(EmptyPicture):
        check(b"", LIMITS)
    with pytest.raises(EmptyPicture):
        decode(io.BytesIO(), LIMITS)


def test_too_many_bytes_are_refused_with_both_numbers() -> None:
    with pytest.raises(PictureTooLarge, match=r"The file has 3\.0 MB; at most 2\.5 are accepted here\."):
        check(bytes(3_000_000), Limits(2_500_000, 100))


@pytest.mark.parametrize("picture_format", MEDIA_TYPES)
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
@pytest.mark.parametrize("picture_format", MEDIA_TYPES)
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


def png_of(chunks: dict[bytes, bytes]) -> bytes:
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks.items():
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data


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


@pytest.mark.parametrize("picture_format", MEDIA_TYPES)
def test_a_drawn_picture_goes_back_in_the_format_of_the_upload_if_that_can_be(picture_format: str) -> None:
    goes_back = output_format(picture_format)

    data = encode(np.asarray(corners()), goes_back)

    assert goes_back == {"GIF": "PNG", "HEIF": "JPEG"}.get(picture_format, picture_format)
    picture, info = decode(data, LIMITS)
    assert info.format == goes_back
    assert info.media_type == media_type(goes_back)
    assert_corners(picture, RED, GREEN, BLUE, YELLOW)


@pytest.mark.parametrize("picture_format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_each_pixel(picture_format: str) -> None:
    picture = np.asarray(noise())

    np.testing.assert_array_equal(decode(encode(picture, picture_format), LIMITS)[0], picture)


def test_no_metadata_goes_out() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "ACME camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    upload = written(corners(), "JPEG", exif=exif, comment=b"secret comment")
    assert b"ACME camera" in upload

    picture, info = decode(upload, LIMITS)

    for picture_format in MEDIA_TYPES.keys() - {"GIF", "HEIF"}:
        data = encode(picture, picture_format, icc_profile=info.icc_profile)
        assert b"ACME" not in data
        assert b"secret" not in data
        assert b"Exif" not in data
    browser, _ = transcode(upload, LIMITS, None)
    assert not any(word in browser for word in (b"ACME", b"secret", b"Exif"))


def test_a_browser_gets_photographs_as_jpeg_and_flat_pictures_as_png() -> None:
    photograph, flat = noise(), corners()

    def kind(picture: Image.Image, picture_format: str) -> str:
        data, told = transcode(written(picture, picture_format), LIMITS, None)
        assert check(data, LIMITS).media_type == told
        return told

    for lossy in ("JPEG", "WEBP", "AVIF", "HEIF"):
        assert kind(flat, lossy) == "image/jpeg"
    for lossless in ("PNG", "GIF", "BMP", "TIFF"):
        assert kind(flat, lossless) == "image/png"
        assert kind(photograph, lossless) == "image/jpeg"


@pytest.mark.parametrize("output", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_a_picture_that_a_format_cannot_hold_comes_as_png(output: str) -> None:
    wide = written(Image.new("RGB", (70_000, 1), "red"), "PNG")

    data, kind = transcode(wide, LIMITS, output)

    assert kind == "image/png"
    assert check(data, LIMITS).width == 70_000


def test_a_browser_gets_a_picture_that_is_too_long_for_jpeg_as_png() -> None:
    long = Image.effect_noise((70_000, 2), 99).convert("RGB")

    assert transcode(written(long, "TIFF"), LIMITS, None)[1] == "image/png"
