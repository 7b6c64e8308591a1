"""What somebody wrote about an exported file, in a small YAML of its name beside it.

::

    family: yolox
    names: [bolt, nut, washer]      # or a block of "0: bolt", or of "- bolt"
    bgr: true                       # and every other option

Of YAML only these forms are read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flask_detector.errors import BadParameter

_LONGEST = 1 << 20
_ENTRY = re.compile(r"(?P<key>\w+)\s*:\s*(?P<value>.*)")
_ITEM = re.compile(r"\s*(-|\d+\s*:)\s+(?P<value>.+)")
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True)
class Description:
    """What is said of a file: its family, the names of its classes, and options; each may be missing."""

    family: str | None = None
    labels: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def read_description(file: Path) -> Description:
    """Return what the .yaml or .yml beside a file says; nothing where there is none.

    Raises BadParameter for one that has other forms of YAML.
    """
    path = next((p for p in (file.with_suffix(".yaml"), file.with_suffix(".yml")) if p.is_file()), None)
    if path is None:
        return Description()
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError("it is too long")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise BadParameter(f"{path.name} can't be read.", hint="It is a short text in UTF-8.") from error
    return _parsed(path.name, lines)


def _parsed(name: str, lines: Sequence[str]) -> Description:
    found: dict[str, str] = {}
    names: list[str] = []
    is_in_names = False
    for number, line in enumerate(lines, 1):
        text = _COMMENT.sub("", line).rstrip()
        if not text or text == "---":
            continue
        item = _ITEM.fullmatch(text)
        if is_in_names and item is not None:
            names.append(_plain(item["value"]))
            continue
        entry = _ENTRY.fullmatch(text)
        if entry is None:
            raise BadParameter(
                f"Line {number} of {name} is not 'key: value'.", hint="docs/onnx.md shows what it may have."
            )
        is_in_names = entry["key"] in {"names", "labels"}
        value = _plain(entry["value"])
        if is_in_names and value:
            names = [_plain(part) for part in value.strip("[]").split(",")]
        elif not is_in_names:
            found[entry["key"]] = value.strip("[]")
    family = found.pop("family", None)
    return Description(family, names, found)


def _plain(text: str) -> str:
    stripped = text.strip()
    is_quoted = len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "'\""
    return stripped[1:-1] if is_quoted else stripped
