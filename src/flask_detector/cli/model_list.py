"""The list of models that `flask-detector models` prints."""

from typing import Any, NamedTuple

from flask_detector.detectors import MAIN_MODEL, ModelInfo, ModelState, Stage
from flask_detector.detectors.zoo.download import in_words


class Row(NamedTuple):
    """A model, its state, and the seconds that it takes; None if not measured."""

    info: ModelInfo
    state: ModelState
    seconds: float | None


_RIGHT_ALIGNED = {"SIZE", "BOX AP", "MASK AP", "SECONDS"}


def form_of(row: Row, default: str) -> dict[str, Any]:
    """Return what is listed of a model as JSON. default: the model that `auto` stands for."""
    info, state = row.info, row.state
    return {
        "name": info.name,
        "title": info.title,
        "what": info.what,
        "architecture": info.architecture,
        "has_masks": info.has_masks,
        "box_ap": info.box_ap,
        "mask_ap": info.mask_ap,
        "licence": info.licence,
        "size": info.source.size,
        "state": state.stage,
        "done": state.done,
        "total": state.total,
        "note": state.note,
        "seconds": row.seconds,
        "default": info.name == default,
    }


def table(rows: list[Row], default: str) -> str:
    """Return the models as a table; a star marks the default."""
    heads = ["", "NAME", "INSTALLED", "SIZE", "BOX AP", "MASK AP", "LICENCE", "SECONDS"]
    cells = [
        [
            "*" if info.name == default else "",
            info.name,
            _installed(state),
            in_words(info.source.size),
            _figure(info.box_ap),
            _figure(info.mask_ap),
            info.licence,
            "" if seconds is None else f"{seconds:.2f}",
        ]
        for info, state, seconds in rows
    ]
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if head in _RIGHT_ALIGNED else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        ).rstrip()
        for row in [heads, *cells]
    )


def _installed(state: ModelState) -> str:
    share = "" if state.fraction is None else f" {state.fraction:.0%}"
    match state.stage:
        case Stage.INSTALLED:
            return "yes"
        case Stage.ABSENT:
            return f"no, partly{share}" if state.done else "no"
        case stage:
            return f"{stage}{share}"


def _figure(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.1f}"


def remarks(rows: list[Row], default: str) -> list[str]:
    """Return the lines below the table: what to install, and what stands in a model's way."""
    states = {info.name: state for info, state, _ in rows}
    lines = ["", "* default model"]
    if default not in states:
        lines = ["", f"DETECTOR_MODEL is '{default}', which is not a known model."]
    elif states[default].stage is Stage.ABSENT:
        lines.append(f"It is not installed. To install it: flask-detector models pull {default}")
    main = states.get(MAIN_MODEL)
    if main is not None and main.stage is Stage.ABSENT and default != MAIN_MODEL:
        lines.append(f"For masks, install the recommended model: flask-detector models pull {MAIN_MODEL}")
    lines += [f"{name}: {state.note}" for name, state in states.items() if state.note]
    return lines
