"""From a picture to the network's input: resized, normalised and padded, as each origin does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.variants import Origin, Traits
from flask_detector.detectors.resize_opencv import opencv_rows, row_blocks
from flask_detector.imaging.pixels import Picture, Pixels

Floats = npt.NDArray[np.float32]

SHORT_SIDE = 800
LONG_SIDE = 1333
MULTIPLE = 32


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
    height, width = resized_size(image.height, image.width, traits.origin)
    pixels = np.zeros((padded(height), padded(width), 3), dtype)
    resize = _resize_opencv if traits.origin is Origin.MMDET else _resize_torch
    for start, rows in resize(image, height, width, traits):
        pixels[start : start + len(rows), :width] = rows
    return Prepared(pixels, (height, width), (image.height, image.width))


def resized_size(height: int, width: int, origin: Origin) -> tuple[int, int]:
    """Return height and width after the resize: the short side 800, but the long side at most 1333.

    MMDetection rounds, torchvision cuts. Neither knows pictures so long that a side would become 0; here it
    stays 1.
    """
    scale = min(LONG_SIDE / max(height, width), SHORT_SIDE / min(height, width))
    half = 0.5 if origin is Origin.MMDET else 0.0
    return max(int(height * scale + half), 1), max(int(width * scale + half), 1)


def padded(side: int) -> int:
    """Return a side grown to a multiple of 32, as the network needs it."""
    return -(-side // MULTIPLE) * MULTIPLE


def _resize_opencv(
    image: Pixels, height: int, width: int, traits: Traits
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    mean, std = np.array(traits.mean, np.float32), np.array(traits.std, np.float32)
    for start, rows in opencv_rows(image, height, width):
        values = rows[..., ::-1] if traits.bgr else rows
        yield start, (values - mean) / std


def _resize_torch(image: Pixels, height: int, width: int, traits: Traits) -> Iterator[tuple[int, Floats]]:
    """Yield normalised rows: torchvision resizes what is normalised already, in floats.

    Source: torch.nn.functional.interpolate, bilinear, align_corners=False, without antialiasing.
    """
    left, right, across = _torch_taps(width, image.columns)
    upper, lower, down = _torch_taps(height, image.rows)
    mean, std = np.array(traits.mean, np.float32), np.array(traits.std, np.float32)

    def normalised(values: Picture) -> Floats:
        floats: Floats = values.astype(np.float32)
        floats /= np.float32(traits.pixel_range)
        floats -= mean
        floats /= std
        return floats

    for block, rows, above, below in row_blocks(upper, lower):
        source = image[rows]
        resampled = _between(normalised(source[:, left]), normalised(source[:, right]), across[:, None])
        yield block.start, _between(resampled[above], resampled[below], down[block, None, None])


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
