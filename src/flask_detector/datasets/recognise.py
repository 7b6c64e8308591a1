"""Which formats the files of a data set are in, by how their content begins."""

import re
from pathlib import PurePosixPath
from typing import Final

from flask_detector.datasets import yolo
from flask_detector.datasets.files import Files
from flask_detector.datasets.remarks import Unusable

SUFFIXES: Final = (".json", ".xml", ".txt")
"""Of label files."""

_HEAD: Final = 65_536
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(:)?|[\[\]{}]')
_COMMENT: Final = re.compile("<!--.*?-->", re.DOTALL)
_ELEMENT: Final = re.compile(r"<([A-Za-z_][\w.-]*)")
_COCO: Final = {"images", "annotations"}
_LABEL_STUDIO: Final = {"annotations", "predictions", "completions"}
_JSON_MIN: Final = {"annotation_id", "annotator", "lead_time"}
_ROOTS: Final = {"annotation": "voc", "annotations": "cvat"}


def formats_of(files: Files) -> dict[str, list[str]]:
    """Return the label files by the name of their format."""
    found: dict[str, list[str]] = {}
    for path in files.ending(*SUFFIXES):
        try:
            with files.open(path, 1 << 40) as file:
                head = _text(file.read(_HEAD))
        except Unusable:
            continue
        if (name := _format_of(path, head)) is not None:
            found.setdefault(name, []).append(path)
    return found


def _format_of(path: str, head: str) -> str | None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".txt":
        return "yolo" if yolo.is_labels(path, head) else None
    if suffix == ".xml":
        root = _ELEMENT.search(_COMMENT.sub("", head))
        return _ROOTS.get(root[1]) if root else None
    keys = _keys(head)
    if head.lstrip().startswith("["):
        is_task = "data" in keys and keys & _LABEL_STUDIO
        return "label-studio" if is_task or len(keys & _JSON_MIN) > 1 else None
    if "shapes" in keys:
        return "labelme"
    # A long list of categories may come first.
    return "coco" if keys & _COCO or ("categories" in keys and len(head) >= _HEAD // 4) else None


def _text(data: bytes) -> str:
    return data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", "replace")


def _keys(head: str) -> set[str]:
    """Return the keys of a JSON object, or of a list's objects, as far as its beginning has them."""
    keys: set[str] = set()
    depth, of_keys = 0, 2 if head.lstrip().startswith("[") else 1
    for token in _TOKEN.finditer(head):
        if token[2] and depth == of_keys:
            keys.add(token[1])
        depth += (token[0] in "[{") - (token[0] in "]}")
    return keys
