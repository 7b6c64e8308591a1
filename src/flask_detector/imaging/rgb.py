"""How images of each of Pillow's modes become RGB: ink, 16 and 32 bits, floats, transparency."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

Conversion = Callable[[Image.Image], Image.Image]


def conversion_of(image: Image.Image) -> Conversion:
    """Return what makes a strip of this image an RGB image."""
    if image.mode == "CMYK":
        return _from_cmyk(image.info.get("icc_profile"))
    if image.mode.startswith("I;16"):
        # A TIFF of 12 bits is opened in 16, unscaled.
        twelve_bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample) == (12,)
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


def _from_cmyk(profile: bytes | None) -> Conversion:
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
