"""Files that a result can be taken away as. A new format is one file and one row."""

from collections.abc import Callable
from dataclasses import dataclass

from flask_detector.detections import Detections
from flask_detector.formats import csv, json


@dataclass(frozen=True)
class Format:
    """One kind of file.

    title: what a person reads on the link.
    write: from the result and the picture's file name to the file's bytes.
    """

    title: str
    suffix: str
    media_type: str
    write: Callable[[Detections, str], bytes]


FORMATS: dict[str, Format] = {
    "json": Format("JSON", ".json", "application/json", json.write),
    "csv": Format("CSV", ".csv", "text/csv; charset=utf-8", csv.write),
}
