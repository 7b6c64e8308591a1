"""Pictures that are written anew, with something drawn on them; photographs as large ones are, in strips."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from flask_detector.errors import DamagedPicture
from flask_detector.imaging import decode, encode, large_pictures
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.sniff import media_type
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask
from flask_detector.visualization import annotate
from tests.support.pictures import BLUE, FORMATS, GREEN, RED, YELLOW, assert_corners, corners, noise, written

LIMITS = Limits(100_000_000, 100_000_000)

# Around the number of parts that libvips reads, the size of a strip, and a row of blocks.
SIZES = [(1, 1), (15, 17), (300, 15), (300, 16), (300, 17), (300, 129), (7, 2000), (6000, 900), (2100, 3000)]


@pytest.fixture
def in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pictures, "LARGE_PIXELS", 0)


def photograph(width: int, height: int, **options: object) -> bytes:
    """Return a JPEG of smooth colours with some edges."""
    down, across = np.mgrid[:height, :width].astype(np.float32)
    pixels = np.stack([127 + 120 * np.sin(down / 40), 127 + 120 * np.cos(across / 50), across % 200], axis=2)
    image = Image.fromarray(pixels.astype(np.uint8))
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), (240, 30, 30))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def pixels_of(data: bytes) -> npt.NDArray[np.int16]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def as_jpeg(data: bytes, over: encode.Draw | None = None) -> bytes:
    changed, media_type = encode.transcode(data, LIMITS, "JPEG", over)
    assert media_type == "image/jpeg"
    return changed


@pytest.mark.usefixtures("in_strips")
@pytest.mark.parametrize("size", SIZES)
def test_what_goes_through_strips_is_what_a_whole_picture_written_anew_would_be(
    size: tuple[int, int],
) -> None:
    data = photograph(*size, quality=95)
    whole = io.BytesIO()
    Image.fromarray(decode.decode(data, LIMITS)[0]).save(whole, "JPEG", quality=90, subsampling="4:2:0")

    changed = as_jpeg(data)

    assert Image.open(io.BytesIO(changed)).size == size
    difference = np.abs(pixels_of(changed) - pixels_of(whole.getvalue()))
    assert difference.mean() < 0.2  # two decoders round differently
    assert difference.max() <= 16


@pytest.mark.usefixtures("in_strips")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_becomes_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = photograph(500, 390, quality=95, exif=exif)

    changed = as_jpeg(data)

    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image)).astype(np.int16)
    assert pixels_of(changed).shape == upright.shape
    assert np.abs(pixels_of(changed) - upright).mean() < 2
    assert b"Exif" not in changed


@pytest.mark.usefixtures("in_strips")
@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}]
)
def test_every_usual_kind_of_jpeg_goes_through(options: dict[str, object]) -> None:
    data = photograph(400, 600, quality=95, **options)

    assert np.abs(pixels_of(as_jpeg(data)) - pixels_of(data)).mean() < 2


@pytest.mark.usefixtures("in_strips")
def test_a_grey_picture_can_be_drawn_on_in_colour() -> None:
    file = io.BytesIO()
    Image.new("L", (200, 400), 90).save(file, "JPEG")

    def over(strip: Image.Image, top: int) -> None:
        ImageDraw.Draw(strip).rectangle((50, 300 - top, 150, 380 - top), (255, 0, 0))

    changed = pixels_of(as_jpeg(file.getvalue(), over))

    assert np.abs(changed[20, 20] - 90).max() < 4
    assert np.abs(changed[340, 100] - (255, 0, 0)).max() < 8


def test_other_programs_read_the_file() -> None:
    import pyvips

    changed = as_jpeg(photograph(2100, 3000))

    image = pyvips.Image.jpegload_buffer(changed, fail_on="warning")
    assert (image.width, image.height) == (2100, 3000)
    assert len(image.write_to_memory()) == 2100 * 3000 * 3


def test_what_is_drawn_in_strips_is_what_is_drawn_at_once() -> None:
    side = 1500
    down, across = np.mgrid[:side, :side]
    discs = [(down - y) ** 2 + (across - x) ** 2 < r * r for y, x, r in [(700, 700, 500), (200, 1200, 150)]]
    found = Detections(
        width=side,
        height=side,
        boxes=np.array([[200, 200, 1200, 1200], [1050, 50, 1350, 350]], np.float32),
        scores=np.array([0.9, 0.8], np.float32),
        class_ids=np.array([0, 1]),
        labels=("disc", "other"),
        model="test",
        masks=tuple(Mask.from_bitmap(disc) for disc in discs),
    )
    picture = np.full((side, side, 3), 200, np.uint8)
    drawing = annotate.Drawing(found)
    strips = []
    for top in range(0, side, 128):
        strip = Image.fromarray(picture[top : top + 128])
        drawing.draw_on(strip, top)
        strips.append(np.asarray(strip))

    np.testing.assert_array_equal(np.concatenate(strips), annotate.draw(picture, found))


def test_what_can_not_be_read_is_told() -> None:
    with pytest.raises(DamagedPicture):
        as_jpeg(b"\xff\xd8\xff\xe0" + bytes(100))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_drawn_picture_goes_back_in_the_format_of_the_upload_if_that_can_be(picture_format: str) -> None:
    goes_back = encode.output_format(picture_format)

    data = encode.encode(np.asarray(corners()), goes_back)

    assert goes_back == {"GIF": "PNG", "HEIF": "JPEG"}.get(picture_format, picture_format)
    picture, info = decode.decode(data, LIMITS)
    assert info.format == goes_back
    assert info.media_type == media_type(goes_back)
    assert_corners(picture, RED, GREEN, BLUE, YELLOW)


@pytest.mark.parametrize("picture_format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_each_pixel(picture_format: str) -> None:
    picture = np.asarray(noise())

    np.testing.assert_array_equal(decode.decode(encode.encode(picture, picture_format), LIMITS)[0], picture)


def test_no_metadata_goes_out() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "ACME camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    upload = written(corners(), "JPEG", exif=exif, comment=b"secret comment")
    assert b"ACME camera" in upload

    picture, info = decode.decode(upload, LIMITS)

    for picture_format in set(FORMATS) - {"GIF", "HEIF"}:
        data = encode.encode(picture, picture_format, icc_profile=info.icc_profile)
        assert b"ACME" not in data
        assert b"secret" not in data
        assert b"Exif" not in data
    browser, _ = encode.transcode(upload, LIMITS, None)
    assert not any(word in browser for word in (b"ACME", b"secret", b"Exif"))


def test_a_browser_gets_photographs_as_jpeg_and_flat_pictures_as_png() -> None:
    photograph, flat = noise(), corners()

    def kind(picture: Image.Image, picture_format: str) -> str:
        data, told = encode.transcode(written(picture, picture_format), LIMITS, None)
        assert decode.check(data, LIMITS).media_type == told
        return told

    for lossy in ("JPEG", "WEBP", "AVIF", "HEIF"):
        assert kind(flat, lossy) == "image/jpeg"
    for lossless in ("PNG", "GIF", "BMP", "TIFF"):
        assert kind(flat, lossless) == "image/png"
        assert kind(photograph, lossless) == "image/jpeg"


@pytest.mark.parametrize("output", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_a_picture_that_a_format_cannot_hold_comes_as_png(output: str) -> None:
    wide = written(Image.new("RGB", (70_000, 1), "red"), "PNG")

    data, kind = encode.transcode(wide, LIMITS, output)

    assert kind == "image/png"
    assert decode.check(data, LIMITS).width == 70_000


def test_a_browser_gets_a_picture_that_is_too_long_for_jpeg_as_png() -> None:
    long = Image.effect_noise((70_000, 2), 99).convert("RGB")

    assert encode.transcode(written(long, "TIFF"), LIMITS, None)[1] == "image/png"
