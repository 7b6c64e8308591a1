"""Detections drawn over their picture.

Everything is drawn in place and within the region that it covers: a picture of 24 megapixels with a hundred
masks needs two copies of the picture, not a hundred.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from flask_detector.detections import Detections, Instance
from flask_detector.masks import Bitmap
from flask_detector.palette import Colour, colour_of, text_colour_on
from flask_detector.tags import Tag, TagStyle, place, tag_of

Picture = npt.NDArray[np.uint8]

_TINT: Final = 0.45
_HALO: Final = (0, 0, 0, 110)


def draw(
    picture: Picture,
    detections: Detections,
    *,
    show_boxes: bool = True,
    show_labels: bool = True,
    show_masks: bool = True,
) -> Picture:
    """Return a new, read-only picture (H, W, 3), RGB, uint8: the given one with the detections drawn over it.

    Lines and letters grow with the picture. The best instances are drawn last, so that they lie on top, and
    their labels are placed first. Labels never cover each other nor leave the picture; one for which there is
    no room at its box is left out.

    Raises ValueError where the picture is not of the size that the detections are for.
    """
    height, width = picture.shape[:2]
    if (width, height) != (detections.width, detections.height):
        raise ValueError("the detections are of a picture of another size")
    best_first = list(detections)
    line = _line_width(width, height)
    image = Image.fromarray(picture)
    if show_masks:
        for instance in reversed(best_first):
            _draw_mask(image, instance, line)
    if show_boxes:
        pen = ImageDraw.Draw(image, "RGBA")
        for instance in reversed(best_first):
            _draw_box(pen, instance, line)
    if show_labels:
        _draw_labels(image, best_first)
    return np.asarray(image)


def _reference_side(width: int, height: int) -> int:
    """Return the side in pixels that lines and letters are scaled by; a panorama is not drawn with beams."""
    return min(max(width, height), 3 * min(width, height))


def _line_width(width: int, height: int) -> int:
    return max(1, round(0.8 + _reference_side(width, height) / 800))


def _draw_mask(image: Image.Image, instance: Instance, line: int) -> None:
    mask = instance.mask
    if mask is None or mask.area == 0:
        return
    inside = np.ascontiguousarray(mask.bitmap())
    opacity = inside * np.uint8(round(255 * _TINT))
    opacity[_contour(inside, max(1, line // 2))] = 255
    image.paste(colour_of(instance.class_id), (mask.x, mask.y), Image.fromarray(opacity))


def _contour(inside: Bitmap, thickness: int) -> Bitmap:
    """Return the pixels of a bitmap that leave it when moved up, down, left or right by the thickness."""
    height, width = inside.shape
    padded = np.pad(inside, thickness)
    rows, columns = slice(thickness, thickness + height), slice(thickness, thickness + width)
    stays: Bitmap = padded[:height, columns] & padded[-height:, columns]
    stays &= padded[rows, :width]
    stays &= padded[rows, -width:]
    return inside & ~stays


def _draw_box(pen: ImageDraw.ImageDraw, instance: Instance, line: int) -> None:
    x1, y1, x2, y2 = _pixels_of(instance)
    halo = max(1, line // 2)
    pen.rectangle((x1 - halo, y1 - halo, x2 + halo, y2 + halo), outline=_HALO, width=line + 2 * halo)
    pen.rectangle((x1, y1, x2, y2), outline=colour_of(instance.class_id), width=line)


def _pixels_of(instance: Instance) -> tuple[int, int, int, int]:
    """Return the first and the last column and row that a box touches, as x1, y1, x2, y2."""
    x1, y1, x2, y2 = instance.box
    left, top = int(x1), int(y1)
    return left, top, max(left, int(np.ceil(x2)) - 1), max(top, int(np.ceil(y2)) - 1)


def _draw_labels(image: Image.Image, best_first: Sequence[Instance]) -> None:
    style = TagStyle.for_side(_reference_side(image.width, image.height))
    tags = [
        tag_of(f"{one.label} {one.score:.0%}", fallback=f"#{one.class_id} {one.score:.0%}", style=style)
        for one in best_first
    ]
    places = place(tags, [_pixels_of(one) for one in best_first], width=image.width, height=image.height)
    for instance, tag, at in zip(best_first, tags, places, strict=True):
        if at is not None:
            _draw_tag(image, tag, at, colour_of(instance.class_id))


def _draw_tag(image: Image.Image, tag: Tag, at: tuple[int, int], background: Colour) -> None:
    image.paste(background, at, tag.shape)
    image.paste(text_colour_on(background), at, tag.text)
