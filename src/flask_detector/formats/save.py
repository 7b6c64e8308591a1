"""Detections to a file whose name says what it is to hold."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flask_detector.atomic_files import write_whole
from flask_detector.formats import FORMATS
from flask_detector.formats.file_names import SUFFIXES
from flask_detector.imaging import encode
from flask_detector.structures.detections import Detections

_PICTURES = {
    suffix: kind
    for kind, suffixes in SUFFIXES.items()
    if encode.output_format(kind) == kind
    for suffix in suffixes
}
_EXPORTS = {".json": "json", ".csv": "csv", ".xml": "voc", ".geojson": "geojson"}


def save(
    found: Detections,
    path: str | PathLike[str],
    format: str | None,
    *,
    draw: Callable[[], npt.NDArray[np.uint8]],
) -> None:
    """Write the drawn picture, or the export of that format, or the one that the path's suffix stands for.

    draw: makes the drawn picture, (H, W, 3), RGB, uint8.

    Within an export the picture is called as the file, since detections don't know its name.

    Raises ValueError where it can't be told what to write, or there is nothing to draw on.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    name = format or _EXPORTS.get(suffix)
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
        write_whole(path, FORMATS[name].write(found, path.name))
    elif suffix in _PICTURES:
        write_whole(path, encode.encode(draw(), _PICTURES[suffix]))
    else:
        raise ValueError(
            f"{path.name!r} does not tell what to write: end it in {', '.join([*_PICTURES, *_EXPORTS])}, "
            f"or give a format: {', '.join(FORMATS)}"
        )
