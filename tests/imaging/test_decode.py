import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from flask_detector.imaging.decode import PictureInfo, check, decode
from flask_detector.imaging.encode import encode, transcode
from flask_detector.imaging.limits import Limits
from tests.support.pictures import BLUE, GREEN, RED, YELLOW, assert_corners, corners, noise, png_of, written

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
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
