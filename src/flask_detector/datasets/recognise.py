"""Which formats the files of a data set are in, by how their content begins."""

import re
from pathlib import PurePosixPath
from typing import Final

from flask_detector.datasets import yolo
from flask_detector.datasets.files import Files
from flask_detector.datasets.remarks import Unusable

_HEAD: Final = 65_536
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(:)?|[\[\]{}]')
_COCO: Final = {"images", "annotations", "categories"}


def formats_of(files: Files) -> dict[str, list[str]]:
    """Return the label files by the name of their format."""
    found: dict[str, list[str]] = {}
    for path in files.ending(".json", ".txt"):
        try:
            with files.open(path, 1 << 40) as file:
                head = _text(file.read(_HEAD))
        except Unusable:
            continue
        if (name := _format_of(path, head)) is not None:
            found.setdefault(name, []).append(path)
    return found


def _format_of(path: str, head: str) -> str | None:
    match PurePosixPath(path).suffix.lower():
        case ".txt":
            return "yolo" if yolo.is_labels(path, head) else None
        case _:
            return "coco" if _keys(head) & _COCO else None


def _text(data: bytes) -> str:
    return data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", "replace")


def _keys(head: str) -> set[str]:
    """Return the keys of a JSON object, as far as its beginning has them; none of a list."""
    keys: set[str] = set()
    depth = 0
    if not head.lstrip().startswith("{"):
        return keys
    for token in _TOKEN.finditer(head):
        if token[2] and depth == 1:
            keys.add(token[1])
        depth += (token[0] in "[{") - (token[0] in "]}")
    return keys
