"""What a user may set when a model is made or tested, under the names of torchvision's constructor."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from flask_detector.errors import BadParameter

# The network's input must fit into memory, and so must what is between its parts.
_SIDES = (32, 4096)
_COUNTS = (1, 10_000)
_DETECTIONS = (1, 1000)


@dataclass(frozen=True)
class Options:
    """How a model is used; the defaults are those of all implementations.

    bgr: the network takes the channels as blue, green, red; else red, green, blue.
    image_mean, image_std: of the channels in that order.
    min_size, max_size: pixels; a picture's short side becomes min_size, but its long side at most max_size.
    anchor_sizes: pixels, one for each of P2..P6. aspect_ratios: height to width, three.
    rpn_pre_nms_top_n: proposals of a level before suppression. rpn_post_nms_top_n: of the picture after it.
    rpn_nms_thresh, box_nms_thresh: the IoU over which the worse of two goes.
    rpn_score_thresh, box_score_thresh: the score, in 0..1, that a proposal and a candidate must reach.
    box_detections_per_img: at most.
    """

    bgr: bool
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    min_size: int = 800
    max_size: int = 1333
    anchor_sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    rpn_pre_nms_top_n: int = 1000
    rpn_post_nms_top_n: int = 1000
    rpn_nms_thresh: float = 0.7
    rpn_score_thresh: float = 0.0
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.5
    box_detections_per_img: int = 100

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return the options with these set otherwise; values may be texts, as on a command line.

        Raises BadParameter for an option that there isn't, and for a value that can't be used.
        """
        found = replace(self, **{name: _parsed(name, value) for name, value in changes.items()})
        if found.max_size < found.min_size:
            raise BadParameter(
                f"The option max_size is {found.max_size}, less than min_size.",
                hint=f"min_size is {found.min_size}; set both.",
            )
        return found

    def differences(self, other: "Options") -> dict[str, Any]:
        """Return the options in which this differs from another, as JSON has them."""
        theirs = asdict(other)
        return {name: value for name, value in asdict(self).items() if value != theirs[name]}


_RANGES: dict[str, tuple[float, float]] = {
    "min_size": _SIDES,
    "max_size": _SIDES,
    "anchor_sizes": (1, 4096),
    "aspect_ratios": (0.01, 100),
    "image_mean": (-1000, 1000),
    "image_std": (1e-3, 1000),
    "rpn_pre_nms_top_n": _COUNTS,
    "rpn_post_nms_top_n": _COUNTS,
    "rpn_nms_thresh": (0, 1),
    "rpn_score_thresh": (0, 1),
    "box_score_thresh": (0, 1),
    "box_nms_thresh": (0, 1),
    "box_detections_per_img": _DETECTIONS,
}
_LENGTHS = {"anchor_sizes": 5, "aspect_ratios": 3, "image_mean": 3, "image_std": 3}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parsed(name: str, value: Any) -> Any:
    if name == "bgr":
        found = _TRUTHS.get(str(value).lower())
        if found is None:
            raise BadParameter(f"The option bgr can't be '{value}'.", hint="It is true or false.")
        return found
    if name not in _RANGES:
        names = ", ".join(field.name for field in fields(Options))
        raise BadParameter(f"There is no option '{name}'.", hint=f"There are {names}.")
    kind = int if isinstance(getattr(Options, name, None), int) else float
    parts = (
        value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    )
    low, high = _RANGES[name]
    count = _LENGTHS.get(name, 1)
    try:
        numbers = tuple(kind(part) for part in parts)
    except (ValueError, TypeError, OverflowError):
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(one) and low <= one <= high for one in numbers):
        what = f"{count} numbers" if count > 1 else "a whole number" if kind is int else "a number"
        raise BadParameter(
            f"The option {name} can't be '{value}'.", hint=f"It is {what} from {low:g} to {high:g}."
        )
    return numbers if name in _LENGTHS else numbers[0]
