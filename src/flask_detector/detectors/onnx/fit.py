"""From a picture to the network's input, and from places in that back to the picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from flask_detector.detectors.onnx.interpretation import Interpretation
from flask_detector.detectors.resize_opencv import opencv_rows
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats

# Open sides are whole numbers of these, as the strides of all families here want it.
STRIDE = 32


@dataclass(frozen=True)
class Fitted:
    """The network's input.

    pixels: (1, H, W, 3) uint8, RGB.
    scale: across and down, pixels of it for a pixel of the picture.
    left, top: where the picture begins in it.
    width, height: of the picture itself.
    """

    pixels: Picture
    scale: tuple[float, float]
    left: int
    top: int
    width: int
    height: int

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
        return Fitted(picture.array()[None], (1.0, 1.0), 0, 0, old_width, old_height)
    if asked.resize == "shortest":
        ratio = min(height / min(old_height, old_width), width / max(old_height, old_width))
        height, width = (max(int(side * ratio), 1) for side in (old_height, old_width))
    inner_height, inner_width = height, width
    left = top = 0
    if asked.resize in {"letterbox", "corner"}:
        ratio = min(height / old_height, width / old_width)
        rounded = round if asked.resize == "letterbox" else int
        inner_height, inner_width = (max(rounded(side * ratio), 1) for side in (old_height, old_width))
        if asked.resize == "letterbox":
            if is_open:
                height, width = (-(-side // STRIDE) * STRIDE for side in (inner_height, inner_width))
            # The half pixel is left to the right and below. Source: Ultralytics, LetterBox.
            top, left = (
                round((outer - inner) / 2 - 0.1)
                for outer, inner in ((height, inner_height), (width, inner_width))
            )
    pixels = np.full((1, height, width, 3), asked.padding, np.uint8)
    inner = pixels[0, top : top + inner_height, left : left + inner_width]
    if (inner_height, inner_width) == (picture.rows, picture.columns):
        inner[:] = picture.array()
    elif asked.resample == "pillow":
        resized = picture.image().resize((inner_width, inner_height), Image.Resampling.BILINEAR)
        inner[:] = np.asarray(resized)
    else:
        for start, rows in opencv_rows(picture, inner_height, inner_width):
            inner[start : start + len(rows)] = rows
    scale = (inner_width / old_width, inner_height / old_height)
    return Fitted(pixels, scale, left, top, old_width, old_height)
