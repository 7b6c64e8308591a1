"""The colours of the classes, for drawn pictures and for the overlay of the web page."""

from collections.abc import Iterable
from itertools import product
from typing import Final

Colour = tuple[int, int, int]

# Chosen one after the other in OKLab, each as far as possible from those before it. Then ordered so that any
# five in a row are apart, also for eyes with protanopia or deuteranopia: classes that are neighbours in COCO
# often occur together. 23 is prime, so that classes of one colour rarely do. Nobody tells 23 colours apart at
# each glance; the labels are there for that.
PALETTE: Final = (
    "#3c91fd",
    "#fa808a",
    "#deadfd",
    "#dc53c2",
    "#0fb129",
    "#b2006f",
    "#21e79b",
    "#2154d8",
    "#08baf8",
    "#608a05",
    "#b25977",
    "#88bc6e",
    "#974edc",
    "#aff03c",
    "#22e0ea",
    "#b3260e",
    "#d085fc",
    "#2382ba",
    "#f4b768",
    "#32c3b3",
    "#1a763f",
    "#d07b00",
    "#9425ab",
)

# When all of them are given out: how much darker they come again.
_SHADES: Final = tuple(0.8**turn for turn in range(20))

BLACK: Final[Colour] = (0, 0, 0)
WHITE: Final[Colour] = (255, 255, 255)


def colour_of(class_id: int) -> Colour:
    """Return the colour of a class as red, green and blue in 0..255; the usual one of the class."""
    red, green, blue = bytes.fromhex(PALETTE[class_id % len(PALETTE)][1:])
    return red, green, blue


def colours_of(class_ids: Iterable[int]) -> dict[int, Colour]:
    """Return a colour for each class of one picture, no two alike.

    class_ids: the classes of its instances, best score first.

    A class has its usual colour where no better one has it; else the next of the palette that nobody has, and
    once there is none, a darker one.
    """
    classes = list(dict.fromkeys(class_ids))
    first_by_place: dict[int, int] = {}
    for class_id in classes:
        first_by_place.setdefault(class_id % len(PALETTE), class_id)
    found = {class_id: colour_of(class_id) for class_id in first_by_place.values()}
    taken = set(found.values())
    for class_id in classes:
        if class_id not in found:
            others = (
                _darker(colour_of(class_id + step), shade)
                for shade, step in product(_SHADES, range(len(PALETTE)))
            )
            found[class_id] = next((one for one in others if one not in taken), colour_of(class_id))
            taken.add(found[class_id])
    return found


def _darker(colour: Colour, shade: float) -> Colour:
    red, green, blue = (round(part * shade) for part in colour)
    return red, green, blue


def text_colour_on(background: Colour) -> Colour:
    """Return black or white, whichever has the higher contrast to a background (WCAG 2.2, contrast ratio)."""
    luminance = relative_luminance(background)
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


def relative_luminance(colour: Colour) -> float:
    """Return how light a colour is, in 0..1 (WCAG 2.2, relative luminance)."""
    linear = [
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
        for level in (part / 255 for part in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
