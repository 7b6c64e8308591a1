"""The pixels of an opened Pillow image as an upright RGB array, whatever mode they are kept in.

The image is converted strip by strip: beside Pillow's own copy and the array there is never a third picture.
"""

import io
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

Picture = npt.NDArray[np.uint8]
Strip = Callable[[Image.Image], Image.Image]

# How the stored picture lies in the array of the upright one, by EXIF orientation (EXIF 2.32, 4.6.4 A).
_STORED_IN_UPRIGHT: Final[dict[int, Callable[[Picture], Picture]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}
_TURNED: Final = {5, 6, 7, 8}
_STRIP_PIXELS: Final = 1 << 18
_TIFF_BITS_PER_SAMPLE: Final = 258


def upright_array(image: Image.Image) -> Picture:
    """Return a loaded image as an array (H, W, 3), RGB, uint8, with its orientation applied."""
    width, height = image.size
    upright_width, upright_height = upright_size(image)
    upright = np.empty((upright_height, upright_width, 3), np.uint8)
    stored = _STORED_IN_UPRIGHT[_orientation(image)](upright)
    to_rgb = _conversion(image)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored[top:bottom] = np.asarray(to_rgb(image.crop((0, top, width, bottom))))
    return upright


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and the height that an image has after its orientation is applied."""
    width, height = image.size
    return (height, width) if _orientation(image) in _TURNED else (width, height)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation that is left to apply; 1 where EXIF has none or can't be read."""
    if image.format in {"TIFF", "HEIF"}:
        # Their readers turn the picture themselves.
        return 1
    exif = Image.Exif()
    try:
        # Not image.getexif(): it also takes the orientation from XMP, which browsers ignore.
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ExifTags.Base.Orientation)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        return 1
    return orientation if isinstance(orientation, int) and orientation in _STORED_IN_UPRIGHT else 1


def _conversion(image: Image.Image) -> Strip:
    """Return what makes a strip of this image an RGB image."""
    if image.mode == "CMYK":
        return _from_cmyk(image.info.get("icc_profile"))
    if image.mode.startswith("I;16"):
        # A TIFF of 12 bits is opened in 16, unscaled.
        twelve_bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE) == (12,)
        return partial(_stretched, black=0.0, white=4095.0 if twelve_bits else 65535.0)
    if image.mode in {"I", "F"}:
        black, white = _range(image)
        return partial(_stretched, black=black, white=white)
    if image.has_transparency_data and not _has_unused_alpha(image):
        return _over_white
    return partial(Image.Image.convert, mode="RGB")


def _over_white(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    white = Image.new("RGB", strip.size, (255, 255, 255))
    white.paste(strip, mask=strip.getchannel("A"))
    return white


def _has_unused_alpha(image: Image.Image) -> bool:
    """Tell whether a BMP has an alpha channel that its writer left at zero: it does not mean invisible."""
    return image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _from_cmyk(profile: bytes | None) -> Strip:
    if profile:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), "CMYK", "RGB"
            )
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            # The profile is damaged or of another kind of picture.
            return partial(Image.Image.convert, mode="RGB")
        return transform.apply
    return partial(Image.Image.convert, mode="RGB")


def _stretched(strip: Image.Image, *, black: float, white: float) -> Image.Image:
    levels = np.nan_to_num(
        (np.asarray(strip, np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    )
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the numbers that become black and white: 0 and 1 if floats lie there, else the extremes."""
    numbers: npt.NDArray[Any] = np.asarray(image)
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return 0.0, 1.0
    black, white = float(finite.min()), float(finite.max())
    if image.mode == "F" and black >= 0 and white <= 1:
        return 0.0, 1.0
    return (black, white) if white > black else (black - 1, white)
