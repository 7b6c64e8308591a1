"""From a picture to the network's input: resized to fit 640x640 and padded, as MMDetection does it."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from flask_detector.detectors.resize_opencv import opencv_rows
from flask_detector.detectors.rtmdet.architecture import SIDE
from flask_detector.imaging.pixels import Picture, Pixels

PADDING = 114


@dataclass(frozen=True)
class Letterboxed:
    """The network's input.

    pixels: (1, 640, 640, 3) uint8, RGB: the resized picture, and padding right of and below it.
    scale: across and down, pixels of `pixels` for a pixel of the picture; they differ a little, since the
        resized picture's sides are whole numbers.
    width, height: of the picture itself.
    """

    pixels: Picture
    scale: tuple[float, float]
    width: int
    height: int

    @classmethod
    def of(cls, content: Picture, width: int, height: int) -> Self:
        """Return the input of which only the resized picture (H, W, 3) is there, of an original's size."""
        rows, columns = content.shape[:2]
        pixels = np.full((1, SIDE, SIDE, 3), PADDING, np.uint8)
        pixels[0, :rows, :columns] = content
        return cls(pixels, (columns / width, rows / height), width, height)

    @property
    def content(self) -> Picture:
        """The resized picture without the padding, (H, W, 3)."""
        rows, columns = round(self.height * self.scale[1]), round(self.width * self.scale[0])
        picture: Picture = self.pixels[0, :rows, :columns]
        return picture


def letterbox(picture: Picture | Pixels) -> Letterboxed:
    """Return the network's input for a picture (H, W, 3), RGB, uint8.

    Source: MMDetection 3.3.0, Resize(scale=(640, 640), keep_ratio=True) and Pad(size=(640, 640)).
    """
    image = Pixels.of(picture)
    scale = SIDE / max(image.height, image.width)
    # Of a picture so narrow that a side would become 0, one row or column stays.
    height, width = (max(int(side * scale + 0.5), 1) for side in (image.height, image.width))
    pixels = np.full((1, SIDE, SIDE, 3), PADDING, np.uint8)
    for start, rows in opencv_rows(image, height, width):
        pixels[0, start : start + len(rows), :width] = rows
    return Letterboxed(pixels, (width / image.width, height / image.height), image.width, image.height)
