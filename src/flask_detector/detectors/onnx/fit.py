"""From a picture to the network's input, and from places in that back to the picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from flask_detector.detectors.onnx.interpretation import Interpretation
from flask_detector.detectors.resize_opencv import opencv_rows, row_blocks
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats, Ints

# How the sides of a resized picture become whole pixels: in Ultralytics, YOLOv5, MMDetection and YOLOX.
_ROUNDED: Final[dict[str, Callable[[float], int]]] = {
    "letterbox": round,
    "yolov5": round,
    "corner": lambda side: int(side + 0.5),
    "yolox": int,
}


@dataclass(frozen=True)
class Fitted:
    """The network's input.

    pixels: (1, H, W, 3), RGB, uint8, or float32 in 0..255 where they are not rounded.
    scale: across and down, pixels of it for a pixel of the picture.
    left, top: where the picture begins in it; of parts of a pixel where a program counts so.
    width, height: of the picture itself.
    has_whole_cells: of a mask, cells that the padding covers partly belong to the picture.
    """

    pixels: Picture | npt.NDArray[np.float32]
    scale: tuple[float, float]
    left: float
    top: float
    width: int
    height: int
    has_whole_cells: bool = False

    def to_picture(self, boxes: Floats) -> Floats:
        """Return boxes (N, 4), xyxy, of the network's input in pixels of the picture."""
        found: Floats = boxes - np.array([self.left, self.top] * 2, np.float32)
        found /= np.array(self.scale * 2, np.float32)
        return found


def fit(picture: Pixels, asked: Interpretation, *, is_open: bool) -> Fitted:
    """Return the network's input for a picture.

    is_open: the network takes any size, so that a letterbox needs no more padding than its strides ask for.
    """
    old_height, old_width = picture.height, picture.width
    height, width = asked.size
    if asked.resize == "whole":
        # The engine takes only arrays that could be written to.
        whole = np.require(picture.array()[None], requirements=["C", "W"])
        return Fitted(whole, (1.0, 1.0), 0, 0, old_width, old_height)
    if asked.resize == "shortest":
        height, width = _by_short_side(old_height, old_width, *asked.size)
    inner_height, inner_width = height, width
    left = top = 0
    scale = None
    if asked.resize in _ROUNDED:
        ratio = min(height / old_height, width / old_width)
        inner_height, inner_width = (
            max(_ROUNDED[asked.resize](side * ratio), 1) for side in (old_height, old_width)
        )
        if asked.resize == "yolox":
            # It takes what is left of a pixel for whole.
            scale = (ratio, ratio)
        if asked.resize in {"letterbox", "yolov5"}:
            if is_open:
                height, width = (
                    -(-side // asked.stride) * asked.stride for side in (inner_height, inner_width)
                )
            # The half pixel is left to the right and below. Source: Ultralytics, LetterBox.
            top, left = (
                round((outer - inner) / 2 - 0.1)
                for outer, inner in ((height, inner_height), (width, inner_width))
            )
    kind = np.float32 if asked.resample == "unrounded" else np.uint8
    pixels = np.full((1, height, width, 3), asked.padding, kind)
    _resize(picture, pixels[0, top : top + inner_height, left : left + inner_width], asked.resample)
    if asked.resize == "yolov5":
        # What was rounded is forgotten on the way back. Source: YOLOv5 7.0, general.scale_boxes.
        edges = ((width - old_width * ratio) / 2, (height - old_height * ratio) / 2)
        return Fitted(pixels, (ratio, ratio), *edges, old_width, old_height, has_whole_cells=True)
    scale = scale or (inner_width / old_width, inner_height / old_height)
    return Fitted(pixels, scale, left, top, old_width, old_height)


def _resize(picture: Pixels, found: npt.NDArray[Any], resample: str) -> None:
    """Fill an array (H, W, 3) with the picture in that size."""
    height, width = found.shape[:2]
    if (height, width) == (picture.rows, picture.columns):
        found[:] = picture.array()
    elif resample == "pillow":
        found[:] = np.asarray(picture.image().resize((width, height), Image.Resampling.BILINEAR))
    else:
        resized = _unrounded_rows if resample == "unrounded" else opencv_rows
        for start, rows in resized(picture, height, width):
            found[start : start + len(rows)] = rows


def _by_short_side(height: int, width: int, short: int, longest: int) -> tuple[int, int]:
    """Return the size of a picture whose short side becomes `short`, but the long one at most `longest`.

    Source: transformers 5.24.0, image_transforms.get_size_with_aspect_ratio.
    """
    low, high = min(height, width), max(height, width)
    exact = min(float(short), longest * low / high)
    sides = max(round(exact), 1), max(int(exact * high / low), 1)
    return sides if height <= width else sides[::-1]


def _unrounded_rows(image: Pixels, height: int, width: int) -> Iterator[tuple[int, Floats]]:
    """Yield the resized picture in blocks, as PyTorch makes it without antialiasing: floats in 0..255."""

    def taps(new: int, old: int) -> tuple[Ints, Ints, Floats]:
        # In float32 as there: the last digit of a place is seen in the results.
        half, scale = np.float32(0.5), np.float32(old) / np.float32(new)
        places = np.maximum(scale * (np.arange(new, dtype=np.float32) + half) - half, 0)
        lower = np.minimum(places.astype(np.int64), old - 1)
        return lower, np.minimum(lower + 1, old - 1), places - lower.astype(np.float32)

    left, right, across = taps(width, image.columns)
    upper, lower, down = taps(height, image.rows)
    for block, rows, above, below in row_blocks(upper, lower, columns=image.columns):
        source = image[rows].astype(np.float32)
        found = source[:, left] * (1 - across[:, None]) + source[:, right] * across[:, None]
        share = down[block, None, None]
        yield block.start, np.asarray(found[above] * (1 - share) + found[below] * share, np.float32)
