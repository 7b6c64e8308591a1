"""Draw detections on their picture.

Everything is drawn in place and within the region that it covers: a picture of 24 megapixels with a hundred
masks needs two copies of the picture, not a hundred.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from flask_detector.structures import boxes
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.masks import Bitmap
from flask_detector.visualization.colors import Colour, colours_of, text_colour_on
from flask_detector.visualization.text_labels import Tag, TagStyle, place, tag_of

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

    Raises ValueError where the picture is not of the size that the detections are for.
    """
    height, width = picture.shape[:2]
    if (width, height) != (detections.width, detections.height):
        raise ValueError("the detections are of a picture of another size")
    image = Image.fromarray(picture)
    Drawing(detections, show_boxes=show_boxes, show_labels=show_labels, show_masks=show_masks).draw_on(image)
    return np.asarray(image)


class Drawing:
    """What is drawn over a picture, to be drawn on all of it or on one strip after another.

    Lines and letters grow with the picture. The best instances are drawn last, so that they lie on top, and
    their labels are placed first. Labels never cover each other nor leave the picture; one for which there is
    no room at its box is left out.
    """

    def __init__(
        self,
        detections: Detections,
        *,
        show_boxes: bool = True,
        show_labels: bool = True,
        show_masks: bool = True,
        colours: Mapping[int, Colour] | None = None,
    ) -> None:
        """`colours` are those of the classes, where more were found than are drawn (`colors.colours_of`)."""
        self._best_first = list(detections)
        self._colours = colours or colours_of(one.class_id for one in self._best_first)
        self._show_boxes, self._show_masks = show_boxes, show_masks
        self._corners = [_corners_of(one, detections) for one in self._best_first]
        self._line = _line_width(detections.width, detections.height)
        self._tags = self._placed_tags(detections) if show_labels else []

    def draw_on(self, strip: Image.Image, top: int = 0) -> None:
        """Draw on an RGB image of the picture's rows from `top` on."""
        if self._show_masks:
            for instance in reversed(self._best_first):
                _draw_mask(strip, top, instance, self._line, self._colours[instance.class_id])
        if self._show_boxes:
            pen = ImageDraw.Draw(strip, "RGBA")
            for instance, corners in zip(reversed(self._best_first), reversed(self._corners), strict=True):
                _draw_box(pen, top, corners, self._line, self._colours[instance.class_id])
        for tag, (x, y), colour in self._tags:
            _draw_tag(strip, tag, (x, y - top), colour)

    def _placed_tags(self, detections: Detections) -> list[tuple[Tag, tuple[int, int], Colour]]:
        """Return the tags for which there is room, each with its place and colour."""
        width, height = detections.width, detections.height
        style = TagStyle.for_side(_reference_side(width, height))
        tags = [tag_of(one.label, f"{one.score:.0%}", style=style) for one in self._best_first]
        places = place(tags, self._corners, width=width, height=height)
        return [
            (tag, at, self._colours[one.class_id])
            for one, tag, at in zip(self._best_first, tags, places, strict=True)
            if at is not None
        ]


def _reference_side(width: int, height: int) -> int:
    """Return the side in pixels that lines and letters are scaled by; a panorama is not drawn with beams."""
    return min(max(width, height), 3 * min(width, height))


def _line_width(width: int, height: int) -> int:
    return max(1, round(0.8 + _reference_side(width, height) / 800))


def _draw_mask(strip: Image.Image, top: int, instance: Instance, line: int, colour: Colour) -> None:
    mask = instance.mask
    if mask is None or mask.area == 0:
        return
    # Some rows more: whether a pixel is on the contour depends on what is so far above and below it.
    thickness = max(1, line // 2)
    first = max(top - thickness - mask.y, 0)
    last = min(top + strip.height + thickness - mask.y, mask.height)
    if first >= last:
        return
    inside = np.ascontiguousarray(mask.bitmap()[first:last])
    opacity = inside * np.uint8(round(255 * _TINT))
    contour = _contour(inside, thickness)
    above, below = (thickness if first else 0), (thickness if last < mask.height else 0)
    rows = slice(above, len(inside) - below)
    opacity[contour] = 255
    at = mask.x, mask.y + first + above - top
    strip.paste(colour, at, Image.fromarray(opacity[rows]))


def _contour(inside: Bitmap, thickness: int) -> Bitmap:
    """Return the pixels of a bitmap that leave it when moved up, down, left or right by the thickness."""
    height, width = inside.shape
    padded = np.pad(inside, thickness)
    rows, columns = slice(thickness, thickness + height), slice(thickness, thickness + width)
    stays: Bitmap = padded[:height, columns] & padded[-height:, columns]
    stays &= padded[rows, :width]
    stays &= padded[rows, -width:]
    return inside & ~stays


def _draw_box(
    pen: ImageDraw.ImageDraw, top: int, corners: tuple[int, int, int, int], line: int, colour: Colour
) -> None:
    x1, y1, x2, y2 = corners
    y1, y2 = y1 - top, y2 - top
    halo = max(1, line // 2)
    pen.rectangle((x1 - halo, y1 - halo, x2 + halo, y2 + halo), outline=_HALO, width=line + 2 * halo)
    pen.rectangle((x1, y1, x2, y2), outline=colour, width=line)


def _corners_of(instance: Instance, detections: Detections) -> tuple[int, int, int, int]:
    """Return the first and the last column and row that a box touches, as x1, y1, x2, y2."""
    size = {"width": detections.width, "height": detections.height}
    left, top, right, bottom = boxes.pixels_of(instance.box, **size)
    return left, top, right - 1, bottom - 1


def _draw_tag(image: Image.Image, tag: Tag, at: tuple[int, int], background: Colour) -> None:
    image.paste(background, at, tag.shape)
    image.paste(text_colour_on(background), at, tag.text)
