"""Pictures that are written anew, with something drawn on them; photographs as large ones are, in strips."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from flask_detector.errors import DamagedPicture
from flask_detector.imaging import decode, encode, large_pictures
from flask_detector.imaging.limits import Limits
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask
from flask_detector.visualization import annotate

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
