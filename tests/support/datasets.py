"""Small data sets, as folders and ZIPs."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask_detector.datasets import Dataset, ImportedPicture, open_dataset
from flask_detector.imaging.limits import Limits

LIMITS = Limits(10_000_000, 10_000_000)

# What a file of a data set holds: bytes, a text, or anything else as JSON.
Contents = Mapping[str, Any]


def content(value: Any) -> bytes:
    """Return what a file holds."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def folder(root: Path, files: Contents) -> Path:
    """Write files into a folder and return it."""
    for name, value in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content(value))
    return root


def zipped(path: Path, files: Contents) -> Path:
    """Write files into a ZIP and return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, content(value))
    return path


def read(path: Path, limits: Limits = LIMITS) -> tuple[dict[str, ImportedPicture], Dataset]:
    """Return the pictures of a data set by their paths, and the data set as it is afterwards."""
    with open_dataset(path, limits=limits) as opened:
        return {picture.path: picture for picture in opened}, opened


def said(opened: Dataset) -> list[str]:
    """Return what was left out, and then what was changed, as sentences."""
    return [f"{remark.where} {remark.reason}" for remark in [*opened.left_out, *opened.changed]]
