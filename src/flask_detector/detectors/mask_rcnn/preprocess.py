"""From a picture to the network's input: resized, normalised and padded, as each origin does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from flask_detector.detectors.mask_rcnn.options import Options
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Origin, Resize, Traits, Variant
from flask_detector.detectors.resize_opencv import opencv_rows, row_blocks
from flask_detector.imaging.pixels import Picture, Pixels

Floats = npt.NDArray[np.float32]

MULTIPLE = 32

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Prepared:
    """The network's input.

    pixels: (height, width, 3), normalised, zeros right of and below the resized picture.
    size: height and width of the resized picture within.
    original: height and width of the picture itself.
    """

    pixels: npt.NDArray[np.floating]
    size: tuple[int, int]
    original: tuple[int, int]


def prepare(picture: Picture | Pixels, traits: Traits, *, dtype: type[np.floating] = np.float32) -> Prepared:
    """Return the network's input for a picture (H, W, 3), RGB, uint8; its pixels are kept as `dtype`."""
    image = Pixels.of(picture)
    height, width = resized_size(image.height, image.width, traits.origin, traits.options)
    pixels = np.zeros((*padded_size(image, traits), 3), dtype)
    for start, rows in _RESIZES[traits.origin.rules.resize](image, height, width, traits):
        pixels[start : start + len(rows), :width] = rows
    return Prepared(pixels, (height, width), (image.height, image.width))


def resized_size(
    height: int, width: int, origin: Origin, options: Options = TRAITS[Variant.MMDET_CAFFE].options
) -> tuple[int, int]:
    """Return height and width after the resize: the short side min_size, but the long side at most max_size.

    torchvision cuts, the others round; Detectron2 makes the short side right first, then the long one. None
    knows pictures so long that a side would become 0; here it stays 1.
    """
    short, long = min(height, width), max(height, width)
    half = 0.0 if origin is Origin.TORCHVISION else 0.5
    if origin is Origin.DETECTRON2:
        scale = options.min_size / short
        sides = [float(options.min_size) if side == short else scale * side for side in (height, width)]
        if max(sides) > options.max_size:
            scale = options.max_size / max(sides)
            sides = [side * scale for side in sides]
    else:
        scale = min(options.max_size / long, options.min_size / short)
        sides = [height * scale, width * scale]
    return max(int(sides[0] + half), 1), max(int(sides[1] + half), 1)


def padded_size(image: Pixels, traits: Traits) -> tuple[int, int]:
    """Return height and width of the network's input for a picture."""
    height, width = resized_size(image.height, image.width, traits.origin, traits.options)
    return padded(height), padded(width)


def padded(side: int) -> int:
    """Return a side grown to a multiple of 32, as the network needs it."""
    return -(-side // MULTIPLE) * MULTIPLE


def _resize_opencv(
    image: Pixels, height: int, width: int, traits: Traits
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    for start, rows in opencv_rows(image, height, width):
        yield start, _normalised(rows, traits)


def _resize_pillow(image: Pixels, height: int, width: int, traits: Traits) -> Iterator[tuple[int, Floats]]:
    """Yield normalised rows. Pillow resizes across, then down, with antialiasing, each rounded to 8 bits."""
    narrow = np.empty((image.rows, width, 3), np.uint8)
    for start in range(0, image.rows, _ROWS_AT_ONCE):
        rows = Image.fromarray(np.ascontiguousarray(image[start : start + _ROWS_AT_ONCE]))
        resized = rows.resize((width, rows.height), Image.Resampling.BILINEAR)
        narrow[start : start + rows.height] = np.asarray(resized)
    resized = Image.fromarray(narrow).resize((width, height), Image.Resampling.BILINEAR)
    yield 0, _normalised(np.asarray(resized), traits)


def _resize_torch(image: Pixels, height: int, width: int, traits: Traits) -> Iterator[tuple[int, Floats]]:
    """Yield normalised rows: torchvision resizes what is normalised already, in floats.

    Source: torch.nn.functional.interpolate, bilinear, align_corners=False, without antialiasing.
    """
    left, right, across = _torch_taps(width, image.columns)
    upper, lower, down = _torch_taps(height, image.rows)
    for block, rows, above, below in row_blocks(upper, lower, columns=image.columns):
        source = image[rows]
        resampled = _between(
            _normalised(source[:, left], traits), _normalised(source[:, right], traits), across[:, None]
        )
        yield block.start, _between(resampled[above], resampled[below], down[block, None, None])


def _normalised(values: Picture, traits: Traits) -> Floats:
    options = traits.options
    floats: Floats = (values[..., ::-1] if options.bgr else values).astype(np.float32)
    floats /= np.float32(traits.pixel_range)
    floats -= np.array(options.image_mean, np.float32)
    floats /= np.array(options.image_std, np.float32)
    return floats


_RESIZES = {
    Resize.OPENCV: _resize_opencv,
    Resize.TORCH: _resize_torch,
    Resize.PILLOW: _resize_pillow,
}


def _between(first: Floats, second: Floats, part: Floats) -> Floats:
    """Return first * (1 - part) + second * part with the rounding of a fused multiply-add.

    Only the second product is rounded on its own: so torch's compiled code does it, on every processor with
    that instruction.
    """
    mixed = first.astype(np.float64)
    mixed *= np.float32(1) - part
    mixed += second * part
    return mixed.astype(np.float32)


def _torch_taps(new: int, old: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    # A fused multiply-add here too: the product is not rounded.
    scale = np.float64(np.float32(old / new))
    place = np.maximum(scale * (np.arange(new) + 0.5) - 0.5, 0).astype(np.float32)
    first = np.minimum(place.astype(np.int64), old - 1)
    return first, np.minimum(first + 1, old - 1), place - first.astype(np.float32)
