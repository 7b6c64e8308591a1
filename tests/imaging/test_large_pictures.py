"""Large pictures, which go through a file: small ones here, that are taken for large."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from PIL import ExifTags, Image, ImageCms, ImageDraw

from flask_detector.errors import DamagedPicture
from flask_detector.imaging import decode, encode, isolated, large_pictures, sniff
from flask_detector.imaging.large_pictures import StoredRows
from flask_detector.imaging.limits import Limits

LIMITS = Limits(100_000_000, 100_000_000)
WIDTH, HEIGHT = 210, 333
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def smooth() -> Image.Image:
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = [127 + 120 * np.sin(down / 40), 127 + 120 * np.cos(across / 50), (down + across) % 256]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


def see_through() -> Image.Image:
    image = smooth()
    image.putalpha(image.getchannel("R").point(lambda level: 0 if level < 50 else level))
    return image


def file_of(image: Image.Image, picture_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


def png_of_words(colour_type: int, samples: int) -> bytes:
    """Return a PNG of sixteen bits a sample, of noise: Pillow writes only grey ones."""
    noise = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH * samples)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in noise)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def heif(image: Image.Image) -> bytes:
    from pillow_heif import from_pillow  # which can write them, too

    file = io.BytesIO()
    from_pillow(image).save(file)
    return file.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: file_of(smooth(), "JPEG"),
    "jpeg, progressive": lambda: file_of(smooth(), "JPEG", progressive=True),
    "jpeg, grey": lambda: file_of(smooth().convert("L"), "JPEG"),
    "jpeg, cmyk": lambda: file_of(smooth().convert("CMYK"), "JPEG"),
    "jpeg, turned": lambda: file_of(smooth(), "JPEG", exif=turned(6)),
    "png": lambda: file_of(smooth(), "PNG", icc_profile=SRGB),
    "png, one bit": lambda: file_of(smooth().convert("1"), "PNG"),
    "png, grey": lambda: file_of(smooth().convert("L"), "PNG"),
    "png, grey of 16 bits": lambda: png_of_words(0, 1),
    "png, colours of 16 bits": lambda: png_of_words(2, 3),
    "png, grey of 16 bits, transparent": lambda: png_of_words(4, 2),
    "png, colours of 16 bits, transparent": lambda: png_of_words(6, 4),
    "png, grey, transparent": lambda: file_of(see_through().convert("LA"), "PNG"),
    "png, transparent": lambda: file_of(see_through(), "PNG"),
    "png, one colour transparent": lambda: file_of(smooth(), "PNG", transparency=(7, 246, 0)),
    "png, palette": lambda: file_of(smooth().quantize(100), "PNG"),
    "png, palette of four": lambda: file_of(smooth().quantize(4), "PNG", bits=2),
    "png, palette, transparent": lambda: file_of(smooth().quantize(9), "PNG", transparency=bytes(range(9))),
    "png, animated": lambda: file_of(smooth(), "PNG", save_all=True, append_images=[smooth().rotate(180)]),
    "png, animated beside it": lambda: file_of(
        smooth(), "PNG", save_all=True, append_images=[smooth().rotate(180)] * 2, default_image=True
    ),
    "webp": lambda: file_of(smooth(), "WEBP"),
    "webp, lossless": lambda: file_of(smooth(), "WEBP", lossless=True),
    "webp, transparent": lambda: file_of(see_through(), "WEBP"),
    "webp, turned": lambda: file_of(smooth(), "WEBP", exif=turned(8)),
    "webp, animated": lambda: file_of(
        smooth(), "WEBP", save_all=True, append_images=[smooth().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    ),
    "tiff": lambda: file_of(smooth(), "TIFF"),
    "tiff, lzw": lambda: file_of(smooth(), "TIFF", compression="tiff_lzw"),
    "tiff, jpeg": lambda: file_of(smooth(), "TIFF", compression="jpeg"),
    "tiff, grey": lambda: file_of(smooth().convert("L"), "TIFF", compression="tiff_adobe_deflate"),
    "tiff, transparent": lambda: file_of(see_through(), "TIFF"),
    "tiff, palette": lambda: file_of(smooth().quantize(50), "TIFF"),
    "tiff, cmyk": lambda: file_of(smooth().convert("CMYK"), "TIFF"),
    "tiff, grey of 16 bits": lambda: file_of(
        Image.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)), "TIFF"
    ),
    "tiff, turned": lambda: file_of(smooth(), "TIFF", tiffinfo={ExifTags.Base.Orientation: 6}),
    "heic": lambda: heif(smooth()),
    "heic, transparent": lambda: heif(see_through()),
    "avif": lambda: file_of(smooth(), "AVIF"),
    "gif": lambda: file_of(smooth(), "GIF"),
    "gif, animated": lambda: file_of(smooth(), "GIF", save_all=True, append_images=[smooth().rotate(180)]),
    "bmp": lambda: file_of(smooth(), "BMP"),
}
READ_AS_A_WHOLE = {
    *("png, one colour transparent", "tiff, transparent", "tiff, palette", "tiff, cmyk"),
    *("tiff, grey of 16 bits", "tiff, turned", "heic", "heic, transparent", "avif"),
    *("gif", "gif, animated", "bmp"),
}


@pytest.fixture
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pictures, "LARGE_PIXELS", 0)
    monkeypatch.setattr(isolated, "MOST_BYTES", sys.maxsize)  # decoded here, however large this process is
    monkeypatch.setattr("flask_detector.imaging.pixels.STRIP_PIXELS", 7000)  # ten strips of a picture


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def decoded(data: bytes) -> npt.NDArray[np.int16]:
    return decode.decode(data, LIMITS)[0].astype(np.int16)


def over(image: Image.Image, top: int) -> None:
    ImageDraw.Draw(image).ellipse((20, 30 - top, 180, 300 - top), fill=(255, 0, 0))


def as_small(make: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_pictures, "LARGE_PIXELS", 10**9)
        return make()


@pytest.mark.usefixtures("all_are_large")
def test_the_pixels_are_those_that_pillow_reads(kind: str) -> None:
    data = KINDS[kind]()
    whole, info = as_small(lambda: decode.decode(data, LIMITS))

    pixels, told = decode.load(data, LIMITS)

    assert isinstance(pixels._stored, StoredRows) == (kind not in READ_AS_A_WHOLE)
    assert told == info
    np.testing.assert_array_equal(pixels.array(), whole)
    np.testing.assert_array_equal(pixels[30:141], whole[30:141])
    np.testing.assert_array_equal(pixels[np.array([3, 4, 90])], whole[[3, 4, 90]])
    np.testing.assert_array_equal(np.asarray(pixels.image()), whole)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.usefixtures("all_are_large")
def test_each_orientation_is_made_upright(orientation: int) -> None:
    data = file_of(smooth(), "PNG", exif=turned(orientation))
    np.testing.assert_array_equal(decoded(data), as_small(lambda: decoded(data)))


@pytest.mark.usefixtures("all_are_large")
def test_an_orientation_behind_the_pixels_counts() -> None:
    data = file_of(smooth(), "PNG")
    exif = turned(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    assert decoded(data[:-12] + chunk + data[-12:]).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("output", [None, "own"])
@pytest.mark.usefixtures("all_are_large")
def test_what_is_made_of_it_is_what_would_be_made_of_a_small_one(kind: str, output: str | None) -> None:
    data = KINDS[kind]()
    wanted = output and encode.output_format(sniff.format_of(data) or "", WIDTH * HEIGHT)
    small, expected_type = as_small(lambda: encode.transcode(data, LIMITS, wanted, over))

    changed, media_type = encode.transcode(data, LIMITS, wanted, over)

    assert media_type == expected_type
    difference = np.abs(decoded(changed) - as_small(lambda: decoded(small)))
    is_lossless = media_type in {"image/png", "image/tiff", "image/bmp"}
    assert difference.max() <= (0 if is_lossless else 40)
    assert difference.mean() < 0.5
    assert decode.check(changed, LIMITS).icc_profile == decode.check(data, LIMITS).icc_profile


@pytest.mark.usefixtures("all_are_large")
def test_nothing_but_the_profile_is_kept() -> None:
    exif = turned(3)
    exif[ExifTags.Base.Make] = "a camera"
    data = file_of(smooth(), "PNG", exif=exif, icc_profile=SRGB)
    for output in ("PNG", "WEBP", "TIFF", "JPEG"):
        changed, _ = encode.transcode(data, LIMITS, output)
        assert b"a camera" not in changed
        assert SRGB[-100:] in changed or output == "PNG"  # which compresses it


@pytest.mark.usefixtures("all_are_large")
def test_what_a_format_can_not_hold_becomes_a_png() -> None:
    data = file_of(Image.new("RGB", (17_000, 3)), "PNG")
    assert encode.transcode(data, LIMITS, "WEBP", over)[1] == "image/png"


@pytest.mark.parametrize("is_cut", [True, False])
@pytest.mark.parametrize(
    "kind", [name for name in KINDS if name.split(",")[0] in {"jpeg", "png", "webp", "tiff"}]
)
@pytest.mark.usefixtures("all_are_large")
def test_a_damaged_one_is_told_as_a_small_one_is(kind: str, is_cut: bool) -> None:
    data = bytearray(KINDS[kind]())
    place = len(data) * 2 // 3
    damaged = bytes(data[:place]) if is_cut else bytes(data[:place] + bytes(99) + data[place + 99 :])

    def outcome() -> object:
        try:
            return decoded(damaged).tobytes()
        except DamagedPicture as error:
            return str(error)

    found, expected = outcome(), as_small(outcome)
    assert type(found) is type(expected)
    if is_cut and not kind.startswith("png, animated"):  # of which the first picture is whole
        assert isinstance(found, str)


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("all_are_large")
def test_where_there_is_no_room_for_a_file_it_comes_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_detector.imaging.vips.TemporaryFile", full)
    monkeypatch.setattr(StoredRows, "__init__", full)
    for name in ("png", "webp", "gif"):
        data = KINDS[name]()
        pixels, _ = decode.load(data, LIMITS)
        assert isinstance(pixels._stored, Image.Image)
        assert encode.transcode(data, LIMITS, "PNG", over)[1] == "image/png"
    mask = np.ones((50, 60), bool)
    assert decoded(encode.cut_out(pixels, (10, 20, 70, 70), mask)).shape == (50, 60, 3)


@pytest.mark.parametrize("size", [(1, 1), (210, 333), (333, 7)])
@pytest.mark.parametrize("profile", [None, SRGB])
@pytest.mark.parametrize("output", ["WEBP", "BMP"])
@pytest.mark.usefixtures("all_are_large")
def test_what_is_written_here_is_byte_for_byte_what_pillow_writes(
    output: str, profile: bytes | None, size: tuple[int, int]
) -> None:
    data = file_of(smooth().resize(size), "PNG", icc_profile=profile)
    written = encode.transcode(data, LIMITS, output, over)[0]
    assert written == as_small(lambda: encode.transcode(data, LIMITS, output, over)[0])


@pytest.mark.parametrize("has_mask", [True, False])
@pytest.mark.usefixtures("all_are_large")
def test_a_part_is_cut_out_pixel_for_pixel(has_mask: bool) -> None:
    pixels, _ = decode.load(KINDS["png"](), LIMITS)
    inside = np.hypot(*np.mgrid[-100:100, -75:75]) < 70 if has_mask else None

    cut = encode.cut_out(pixels, (30, 50, 180, 250), inside)

    with Image.open(io.BytesIO(cut)) as image:
        assert (image.mode, image.size) == ("RGBA" if has_mask else "RGB", (150, 200))
        np.testing.assert_array_equal(np.asarray(image)[:, :, :3], pixels[50:250][:, 30:180])
        if inside is not None:
            np.testing.assert_array_equal(np.asarray(image)[:, :, 3], inside * 255)


@pytest.mark.usefixtures("all_are_large")
def test_what_is_forgotten_can_not_be_read() -> None:
    pixels, _ = decode.load(KINDS["png"](), LIMITS)
    pixels.forget()
    with pytest.raises(RuntimeError, match="forgotten"):
        pixels[0:1]


# What a web process does with a picture, and how much more memory that took than a small one does.
PROGRAM = """
import sys
from pathlib import Path
from PIL import ImageDraw
from flask_detector.imaging import encode as encoding, decode as images, sniff
from flask_detector.imaging.limits import Limits
from flask_detector.process.memory import give_back_large_blocks
from flask_detector.web.core.renditions import small_copy

give_back_large_blocks()
limits = Limits(100_000_000, 100_000_000)

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

def over(image, top):
    ImageDraw.Draw(image).rectangle((50, 50 - top, 4000, 3000 - top), outline=(255, 0, 0), width=9)

def use(path):
    data = Path(path).read_bytes()
    output = encoding.output_format(sniff.format_of(data))
    for wanted, change in ((None, over), (output, over)):
        encoding.transcode(data, limits, wanted, change)
    small_copy(data, limits)
    pixels, _ = images.load(data, limits)
    encoding.cut_out(pixels, (0, 0, pixels.width, pixels.height), None)

use(sys.argv[1])
before = peak()
use(sys.argv[2])
print(peak() - before)
"""


def with_alpha(image: Image.Image) -> Image.Image:
    image.putalpha(image.getchannel("R"))
    return image


LARGE: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": lambda image: file_of(image, "JPEG"),
    "jpeg, turned": lambda image: file_of(image, "JPEG", exif=turned(6)),
    "png": lambda image: file_of(image, "PNG", compress_level=1),
    "png, transparent": lambda image: file_of(with_alpha(image), "PNG", compress_level=1),
    "tiff": lambda image: file_of(image, "TIFF", compression="tiff_adobe_deflate"),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux counts it")
@pytest.mark.parametrize(
    ("kind", "most"),
    # Megabytes beside the file and what is made of it, 12 each at most; whole, 24 megapixels take 96.
    [("jpeg", 45), ("jpeg, turned", 45), ("png", 65), ("png, transparent", 65), ("tiff", 65)],
)
def test_24_megapixels_take_less_memory_than_their_pixels(kind: str, most: int, tmp_path: Path) -> None:
    make = LARGE[kind]
    (tmp_path / "small").write_bytes(make(smooth()))
    (tmp_path / "large").write_bytes(make(smooth().resize((4000, 6000), Image.Resampling.BICUBIC)))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "small"), str(tmp_path / "large")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(answer.stdout) < most * 1000, "kilobytes"


# How much more memory decoding a picture takes than a small one, and how much is reckoned with.
DECODING = """
import io
import sys
from pathlib import Path
from flask_detector.imaging import decode, isolated
from flask_detector.imaging.limits import Limits

isolated.MOST_BYTES = 1 << 40

def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])

estimates = []
estimate = decode.decoding_bytes
decode.decoding_bytes = lambda image, data: estimates.append(estimate(image, data)) or 0
limits = Limits(100_000_000, 100_000_000)
decode.load(Path(sys.argv[1]).read_bytes(), limits)
before = peak()
decode.load(Path(sys.argv[2]).read_bytes(), limits)
print(peak() - before, estimates[1])
"""


def avif_by_vips(side: int, *, bits: int, bands: int) -> bytes:
    image = pyvips.Image.xyz(side, side).extract_band(0) % 65536
    image = image.bandjoin([image.rot90(), image, image + 9000][: bands - 1]).cast("ushort")
    image = image.copy(interpretation="rgb16")
    if bits == 8:
        image = image.msb().copy(interpretation="srgb")
    return bytes(
        image.heifsave_buffer(compression="av1", bitdepth=bits, effort=0, Q=40, subsample_mode="off")
    )


def webp_of(side: int, **options: Any) -> bytes:
    return file_of(smooth().resize((side, side)), "WEBP", method=0, **options)


AS_A_WHOLE: dict[str, Callable[[int], bytes]] = {
    "avif of 10 bits": lambda side: avif_by_vips(side, bits=10, bands=3),
    "avif of 10 bits, transparent": lambda side: avif_by_vips(side, bits=10, bands=4),
    "avif of 12 bits": lambda side: avif_by_vips(side, bits=12, bands=3),
    "avif of 8 bits, transparent": lambda side: avif_by_vips(side, bits=8, bands=4),
    "webp": webp_of,
    "webp without loss": lambda side: webp_of(side, lossless=True, quality=0),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux counts it")
@pytest.mark.parametrize("kind", AS_A_WHOLE)
def test_what_is_decoded_as_a_whole_takes_no_more_memory_than_is_reckoned_with(
    kind: str, tmp_path: Path
) -> None:
    for name, side in (("small", 64), ("large", 2400)):
        (tmp_path / name).write_bytes(AS_A_WHOLE[kind](side))
    command = [sys.executable, "-c", DECODING, str(tmp_path / "small"), str(tmp_path / "large")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, reckoned = map(int, answer.stdout.split())
    assert reckoned / 2 < taken < reckoned
