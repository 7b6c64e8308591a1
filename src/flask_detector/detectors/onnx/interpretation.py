"""How a picture is brought to a network and how its answers are read: what an exported file need not say."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from flask_detector.errors import BadParameter

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CHOICES = {
    "resize": ("letterbox", "yolov5", "corner", "yolox", "stretch", "shortest", "whole"),
    "resample": ("opencv", "pillow", "unrounded"),
    "boxes": ("xyxy", "cxcywh", "yxyx", "yolox"),
    "scores": ("plain", "sigmoid", "softmax", "objectness"),
}
SIDES = (32, 4096)
_RANGES = {"stride": (1, 128), "first_class": (0, 1), "iou": (0, 1.0)}

OPTIONS_KEY = "flask_detector.options"
"""Under which a file's metadata may say options, as `written`."""


@dataclass(frozen=True)
class Interpretation:
    """Everything about a model that is not in its graph; each may be set as an option.

    size: of the network's input, height and width; for `shortest`, of the short side and at most of the long.
    resize: how a picture gets that size: whole with padding around it (`letterbox`; `yolov5` with its
        rounding) or right and below (`corner`; `yolox` with its), stretched, by its short side, or not at all
        (`whole`).
    padding: the grey of the padding, or its red, green and blue.
    stride: open sides become whole numbers of it.
    resample: whose bilinear filter; PyTorch's does not round.
    bgr: the network takes the channels as blue, green, red.
    mean, std: of the channels in that order, of numbers in 0..255.
    boxes: the form of its boxes. normalised: they are parts of the input's sides, not pixels.
    scores: whether they are probabilities or logits, or there being an object is all that counts.
    first_class: the number of the first class in its answers.
    iou: over which the worse of two boxes of a class goes; 1 where the network has chosen itself.
    """

    size: tuple[int, int] = (640, 640)
    resize: str = "letterbox"
    padding: int | tuple[int, ...] = 114
    stride: int = 32
    resample: str = "opencv"
    bgr: bool = False
    mean: tuple[float, ...] = (0, 0, 0)
    std: tuple[float, ...] = (255, 255, 255)
    boxes: str = "xyxy"
    normalised: bool = False
    scores: str = "plain"
    first_class: int = 0
    iou: float = 1.0

    def changed(self, options: Mapping[str, Any]) -> Self:
        """Return it with these options set otherwise; values may be texts, as on a command line.

        Raises BadParameter for an option that there isn't, and for a value that can't be used.
        """
        return replace(self, **{name: _parsed(name, value) for name, value in options.items()})

    def differences(self, other: "Interpretation") -> dict[str, Any]:
        """Return the options in which this differs from another, as JSON has them."""
        theirs = asdict(other)
        return {name: value for name, value in asdict(self).items() if value != theirs[name]}


def written(options: Mapping[str, Any]) -> str:
    """Return options as they are written on a command line."""
    return " ".join(f"{name}={_text(name, value)}" for name, value in options.items())


def read_options(text: Any) -> dict[str, str]:
    """Return the options that a text of `written` says; none for another text."""
    return dict(part.split("=", 1) for part in str(text or "").split() if "=" in part)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ("x" if name == "size" else ",").join(f"{one:g}" for one in value)
    return str(value)


def _parsed(name: str, value: Any) -> Any:
    known = {field.name for field in fields(Interpretation)}
    if name not in known:
        raise BadParameter(f"There is no option '{name}'.", hint=f"There are {', '.join(sorted(known))}.")
    text = _text(name, value).strip().lower()
    if name in _CHOICES:
        if text in _CHOICES[name]:
            return text
        raise _refusal(name, value, f"It is one of {', '.join(_CHOICES[name])}.")
    if name in {"bgr", "normalised"}:
        if text in _TRUTHS:
            return _TRUTHS[text]
        raise _refusal(name, value, "It is true or false.")
    if name == "size":
        sides = _numbers(text.replace("x", ","), int)
        if len(sides) in {1, 2} and all(SIDES[0] <= side <= SIDES[1] for side in sides):
            return (sides[0], sides[-1])
        raise _refusal(name, value, f"It is height x width, 640 or 480x640, from {SIDES[0]} to {SIDES[1]}.")
    if name in {"mean", "std", "padding"}:
        return _of_channels(name, value, text)
    least, most = _RANGES[name]
    found = _numbers(text, type(most))
    if len(found) == 1 and least <= found[0] <= most:
        return found[0]
    raise _refusal(name, value, f"It is a number from {least} to {most:g}.")


def _of_channels(name: str, value: Any, text: str) -> Any:
    if name == "padding":
        colour = _numbers(text, int)
        if len(colour) in {1, 3} and all(0 <= one <= 255 for one in colour):
            return colour if len(colour) == 3 else colour[0]
        raise _refusal(name, value, "It is a grey from 0 to 255, or red, green and blue: 124,116,104.")
    numbers = _numbers(text, float)
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) == 3 and all(abs(one) <= 1000 and (name == "mean" or one > 0) for one in numbers):
        return numbers
    raise _refusal(name, value, "It is three numbers of pixels in 0..255, for example 123.7,116.3,103.5.")


def _numbers(text: str, kind: type) -> tuple[Any, ...]:
    try:
        found = tuple(kind(part) for part in text.split(","))
    except (ValueError, OverflowError):
        return ()
    return found if all(math.isfinite(one) for one in found) else ()


def _refusal(name: str, value: Any, hint: str) -> BadParameter:
    return BadParameter(f"The option {name} can't be '{value}'.", hint=hint)
