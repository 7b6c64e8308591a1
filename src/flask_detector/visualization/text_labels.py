"""The small filled tags that name the instances of a drawn picture: how they look and where they lie."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from anyascii import anyascii
from PIL import Image, ImageDraw, ImageFont, features

Font = ImageFont.FreeTypeFont
Box = tuple[int, int, int, int]
Point = tuple[int, int]

# The font within Pillow has the letters of English only; these are looked for on the machine for all others.
WIDER_FONTS: Final = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
    "seguisym.ttf",
    "unifont.otf",
)
# A private code point that no font has a picture of.
_UNASSIGNED: Final = "\U0010fffd"
# Letters of scripts that are written from right to left, which are joined and turned round by this library.
_FROM_THE_RIGHT: Final = {"R", "AL"}
_CAN_JOIN: Final = features.check_feature("raqm")
_LONGEST: Final = 40
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
def tag_of(label: str, score: str, *, style: TagStyle) -> Tag:
    """Return the tag for a label, on one line and not too long, and its score.

    Letters that no font of this machine has are written as they are in English: "neko" for the Japanese cat,
    ":cat:" for its picture.
    """
    line = " ".join(unicodedata.normalize("NFC", label).split())
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    runs = _runs(f"{line} {score}".strip(), style.font_size)
    # The height of high and low letters, not of this text's: tags side by side are equally high.
    _, top, _, bottom = _builtin_font(style.font_size).getbbox("bg", anchor="ls")
    width = round(sum(font.getlength(run) for run, font in runs)) + 2 * style.padding_x
    height = round(bottom - top) + 2 * style.padding_y
    letters = Image.new("L", (width, height))
    pen, x = ImageDraw.Draw(letters), float(style.padding_x)
    for run, font in runs:
        pen.text((x, style.padding_y - top), run, 255, font, anchor="ls")
        x += font.getlength(run)
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


def _runs(text: str, size: int) -> list[tuple[str, Font]]:
    """Return the pieces of a text, each with a font that has its letters: one, if one has them all."""
    fonts = [_builtin_font(size), *filter(None, (font_named(name, size) for name in WIDER_FONTS))]
    for font in fonts:
        if all(_has(font, letter) for letter in text):
            return [(text, font)]
    pieces: list[tuple[str, Font]] = []
    for letter in text:
        writes = next((font for font in fonts if _has(font, letter)), None)
        pieces.append((_in_english(letter), fonts[0]) if writes is None else (letter, writes))
    runs = groupby(pieces, key=itemgetter(1))
    return [("".join(letters for letters, _ in run), font) for font, run in runs]


def _in_english(letter: str) -> str:
    """Return how a letter is written in English; its number where nobody knows that."""
    unseen = unicodedata.category(letter) in {"Cc", "Cf", "Mn", "Me"}
    return anyascii(letter) or ("" if unseen else f"U+{ord(letter):04X}")


@lru_cache(maxsize=32)
def _builtin_font(size: int) -> Font:
    return cast(Font, ImageFont.load_default(size))


@lru_cache(maxsize=256)
def font_named(name: str, size: int) -> Font | None:
    """Return a font of this machine; None where it has none of that name."""
    try:
        return ImageFont.truetype(name, size)
    except (ImportError, OSError):
        return None


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Tell whether a font has a picture of a letter, not the box that stands for a missing one."""
    if letter.isspace():
        return True
    if not _CAN_JOIN and unicodedata.bidirectional(letter) in _FROM_THE_RIGHT:
        return False
    alone = _unjoined(font)  # joined, a mark would come with a circle to stand on
    return bytes(alone.getmask(letter)) != bytes(alone.getmask(_UNASSIGNED))


@lru_cache(maxsize=256)
def _unjoined(font: Font) -> Font:
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=512)
def _rounded(width: int, height: int, radius: int) -> Image.Image:
    large = Image.new("L", (width * _SMOOTHING, height * _SMOOTHING))
    corners = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(corners, radius * _SMOOTHING, 255)
    return large.reduce(_SMOOTHING)
