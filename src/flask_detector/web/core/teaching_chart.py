"""What the page of a run of teaching draws: the curve of its training, and boxes on pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask_detector.jobs.lessons import Progress
from flask_detector.structures.outlines import grid_of, outline_of
from flask_detector.visualization.colors import Colour, colours_of

WIDTH: Final = 640
HEIGHT: Final = 200

# Of classes that are not taught.
_OTHER: Final[Colour] = (128, 128, 128)


@dataclass(frozen=True)
class Chart:
    """A training as SVG: paths on WIDTH by HEIGHT, y downwards.

    loss: from 0 to the highest one; last: of its values. ap50: from 0 to 1, with its points.
    last_ap50, last_ap: None before the first.
    """

    loss: str
    last: float
    ap50: str
    points: list[tuple[float, float]]
    last_ap50: float | None
    last_ap: float | None


@dataclass(frozen=True)
class Box:
    """An object on a small copy of a picture: paths on its grid, and where its name begins.

    mask: "" where it has none.
    """

    path: str
    mask: str
    x: int
    y: int
    label: str
    score: float | None
    colour: Colour


def chart_of(progress: Progress) -> Chart | None:
    """Return the chart of a run; None where nothing was learned yet."""
    if not progress.losses:
        return None
    most = max(loss for _, loss in progress.losses)
    losses = [(part * WIDTH, HEIGHT * (1 - loss / most)) for part, loss in progress.losses]
    points = [(round(part * WIDTH, 1), round(HEIGHT * (1 - ap50), 1)) for part, ap50, _ in progress.proven]
    last = progress.proven[-1] if progress.proven else (None, None, None)
    return Chart(_line(losses), progress.losses[-1][1], _line(points), points, last[1], last[2])


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""


def grid(picture: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of what the boxes of a proof's picture are drawn on."""
    return grid_of(picture["width"], picture["height"])


def boxes(picture: Mapping[str, Any], found: str, classes: Sequence[str]) -> list[Box]:
    """Return what is to be drawn of a proof's picture: "marked", "before" or "after"."""
    colours = dict(zip(classes, colours_of(range(len(classes))).values(), strict=True))
    width, height = picture["width"], picture["height"]
    scale = grid(picture)[0] / width
    return [
        Box(
            outline_of(one["box"], width, height),
            one.get("mask", ""),
            round(one["box"][0] * scale),
            round(one["box"][1] * scale),
            one["label"],
            one.get("score"),
            colours.get(one["label"], _OTHER),
        )
        for one in picture[found]
    ]
