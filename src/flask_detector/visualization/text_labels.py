"""The small filled tags that name the instances of a drawn picture: how they look and where they lie."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
Point = tuple[int, int]

# The font within Pillow has the letters of English only; these are looked for on the machine for all others.
WIDER_FONTS: Final = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msgothic.ttc",
)
# A private code point that no font has a picture of.
_UNASSIGNED: Final = "\U0010fffd"
_SMOOTHING: Final = 4
_MOST_INNER_PLACES: Final = 400


@dataclass(frozen=True)
class TagStyle:
    """How large the letters and the space around them are, in pixels."""

    font_size: int
    padding_x: int
    padding_y: int
    radius: int

    @classmethod
    def for_side(cls, side: int) -> "TagStyle":
        """Return the style for a picture of that side: letters of about 1/64 of it, never illegibly small."""
        size = max(11, round(side / 64))
        return cls(size, round(size * 0.35), round(size * 0.25), round(size * 0.25))


@dataclass(frozen=True)
class Tag:
    """A tag as two opacity masks of one size: the rounded rectangle and the letters on it."""

    shape: Image.Image
    text: Image.Image

    @property
    def size(self) -> Point:
        """Width and height in pixels."""
        return self.shape.size


@lru_cache(maxsize=512)
def tag_of(text: str, *, fallback: str, style: TagStyle) -> Tag:
    """Return the tag for a text; for `fallback` where no font of this machine can write the text."""
    text, font = _writable(text, fallback, style.font_size)
    left, _, right, _ = font.getbbox(text)
    # The height of high and low letters, not of this text's: tags side by side are equally high.
    _, top, _, bottom = font.getbbox("bg")
    width = round(right - left) + 2 * style.padding_x
    height = round(bottom - top) + 2 * style.padding_y
    letters = Image.new("L", (width, height))
    ImageDraw.Draw(letters).text((style.padding_x - left, style.padding_y - top), text, 255, font)
    return Tag(_rounded(width, height, style.radius), letters)


def place(tags: Sequence[Tag], boxes: Sequence[Box], *, width: int, height: int) -> list[Point | None]:
    """Return where the top left corner of each tag goes, in a picture of that size.

    Earlier tags choose first. A tag lies above its box if it can, else within, below, or further along the
    inside; it never covers an earlier one. None is for a tag that has no such place.
    """
    taken = np.zeros((0, 4), np.int64)
    places: list[Point | None] = []
    for tag, box in zip(tags, boxes, strict=True):
        at = _first_free(tag.size, box, taken, width=width, height=height)
        places.append(at)
        if at is not None:
            taken = np.vstack([taken, [*at, at[0] + tag.size[0], at[1] + tag.size[1]]])
    return places


def _first_free(
    size: Point, box: Box, taken: npt.NDArray[np.int64], *, width: int, height: int
) -> Point | None:
    tag_width, tag_height = size
    if tag_width > width or tag_height > height:
        return None
    for wanted_x, wanted_y in _candidates(size, box):
        x = min(max(wanted_x, 0), width - tag_width)
        y = min(max(wanted_y, 0), height - tag_height)
        overlaps = (
            (taken[:, 0] < x + tag_width)
            & (taken[:, 2] > x)
            & (taken[:, 1] < y + tag_height)
            & (taken[:, 3] > y)
        )
        if not overlaps.any():
            return x, y
    return None


def _candidates(size: Point, box: Box) -> Iterator[Point]:
    """Yield the places for a tag at its box, the best first."""
    tag_width, tag_height = size
    x1, y1, x2, y2 = box
    right = x2 + 1 - tag_width
    for y in (y1 - tag_height, y1, y2 + 1, y2 + 1 - tag_height):
        yield x1, y
        yield right, y
    step_x, step_y = max(1, tag_width // 2), tag_height
    inner = ((x, y) for y in range(y1, y2 + 2 - tag_height, step_y) for x in range(x1, right + 1, step_x))
    yield from islice(inner, _MOST_INNER_PLACES)


def _writable(text: str, fallback: str, size: int) -> tuple[str, Font]:
    """Return the text, or the nearest to it that can be written, and the font that has its letters."""
    without_accents = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    builtin = _builtin_font(size)
    if _has_letters(builtin, text):
        return text, builtin
    for name in WIDER_FONTS:
        font = _font(name, size)
        if font is not None and _has_letters(font, text):
            return text, font
    return (without_accents if _has_letters(builtin, without_accents) else fallback), builtin


@lru_cache(maxsize=32)
def _builtin_font(size: int) -> Font:
    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except (ImportError, OSError):
        return None


def _has_letters(font: Font, text: str) -> bool:
    """Tell whether a font has a picture of each letter, not the box that stands for a missing one."""
    missing = bytes(font.getmask(_UNASSIGNED))
    return all(c.isspace() or bytes(font.getmask(c)) != missing for c in set(text))


@lru_cache(maxsize=512)
def _rounded(width: int, height: int, radius: int) -> Image.Image:
    large = Image.new("L", (width * _SMOOTHING, height * _SMOOTHING))
    corners = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(corners, radius * _SMOOTHING, 255)
    return large.reduce(_SMOOTHING)
