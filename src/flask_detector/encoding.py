"""An RGB array to a picture file, and a file to another one with something drawn over it."""

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from flask_detector import images
from flask_detector.pixels import Picture, Pixels

# The fast settings: of 12 megapixels WebP takes 0.4 s instead of 0.9, AVIF 0.5 instead of 2.0, HEIC 1.3
# instead of 4.6, and PNG 0.8 instead of 3.4, for files that are at most a fifth larger.
_WRITING: Final[dict[str, dict[str, object]]] = {
    "JPEG": {},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 1},
    "AVIF": {"speed": 9},
    "HEIF": {"enc_params": {"preset": "ultrafast"}},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
}

_LOSSY: Final = {"JPEG", "WEBP", "AVIF", "HEIF"}

_JPEG_LONGEST_SIDE: Final = 65_500

Change = Callable[[Image.Image, int], None]


def output_format(picture_format: str) -> str:
    """Return the format in which a drawn picture goes back: the upload's, but PNG for GIF.

    A GIF holds 256 colours: a drawn one would have its boxes and its labels dithered.
    """
    return "PNG" if picture_format == "GIF" else picture_format


def _nothing(_: Image.Image, __: int) -> None:
    """Change nothing."""


def encode(
    picture: Picture | Image.Image,
    picture_format: str,
    *,
    quality: int = 90,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return a picture (H, W, 3), RGB, uint8, as a file without any metadata but its colour profile.

    quality: 0..100, of JPEG, WebP, AVIF and HEIC; the other formats keep each pixel.
    """
    image = _bare(picture) if isinstance(picture, Image.Image) else Image.fromarray(picture)
    options = _WRITING[picture_format] | {"icc_profile": icc_profile}
    if picture_format in _LOSSY:
        options["quality"] = quality
    file = io.BytesIO()
    if picture_format == "HEIF":
        from pillow_heif import from_pillow  # 4 MB that most processes never need

        from_pillow(image).save(file, **options)
    else:
        image.save(file, picture_format, **options)
    return file.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """Return the same pixels without what the file told beside them, which Pillow would write again."""
    image.load()
    bare = image._new(image.im)  # unlike a copy it needs no memory of its own
    bare.info = {}
    return bare


def change(
    data: bytes, limits: images.Limits, output: str | None, over: Change = _nothing
) -> tuple[bytes, str]:
    """Return a file as another one, upright, at full size, with something drawn over it, and its media type.

    output: the format; None for one that every browser shows: photographs become JPEG, what was kept without
        loss and has flat areas, such as a screenshot, becomes PNG, which is then the smaller file too and
        keeps its edges sharp. Where the format can't hold a picture of that size it is PNG, too.
    over: called with an RGB image of some rows of the picture, to draw on, and the first one's number.

    Nothing of its metadata is kept but the colour profile. Raises what `decode` raises.
    """
    if output in {None, "JPEG"} and (told := images.plain_jpeg(data, limits)) is not None:
        from flask_detector.strips import change_jpeg  # 10 MB that only the web process needs

        orientation, profile = told
        return change_jpeg(data, over, orientation=orientation, icc_profile=profile), images.media_type(
            "JPEG"
        )
    pixels, info = images.load(data, limits)
    if output is None:
        flat = info.format not in _LOSSY and _has_flat_areas(pixels)
        output = "PNG" if flat or max(info.width, info.height) > _JPEG_LONGEST_SIDE else "JPEG"
    whole = pixels.image()
    over(whole, 0)
    try:
        return encode(whole, output, icc_profile=info.icc_profile), images.media_type(output)
    except (OSError, RuntimeError, ValueError):
        # WebP ends at 16383 pixels a side, JPEG at 65500; what AVIF and HEIC can't hold, only encoders know.
        return encode(whole, "PNG", icc_profile=info.icc_profile), images.media_type("PNG")


def _has_flat_areas(pixels: Pixels) -> bool:
    """Tell whether much of a picture repeats its neighbour, as in a screenshot, a chart or a drawing.

    Looks at up to 64 rows.
    """
    numbers = range(0, pixels.rows, max(1, pixels.rows // 64))
    rows = np.concatenate([pixels[number : number + 1] for number in numbers])
    repeats = (rows[:, 1:] == rows[:, :-1]).all(axis=2)
    return bool(repeats.size == 0 or repeats.mean() > 0.6)
