"""One line an instance, for spreadsheets (RFC 4180).

Coordinates are pixels of the picture, xyxy; the area, in pixels, is the mask's, else the box's. The masks
themselves are left out. `source` and `verified` tell what a person has said of a corrected result.
"""

import csv
import io
from collections.abc import Iterable

from flask_detector.formats.dataset_zip import Dataset, Spool
from flask_detector.structures.detections import Detections

COLUMNS = ("file", "label", "score", "x1", "y1", "x2", "y2", "area", "source", "verified")


class CsvDataset(Dataset):
    """``detections.csv``: under one header a line for each instance, of each picture the best first."""

    pictures: str | None = None

    def __init__(self) -> None:
        self._spool = Spool()
        self._spool.write(_lines([COLUMNS]))

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; its lines go to the one file of all."""
        self._spool.write(_lines(_rows(found, name)))
        return []

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the lines."""
        return [("detections.csv", self._spool.pieces())]


def _rows(found: Detections, filename: str) -> Iterable[tuple[object, ...]]:
    for instance in found:
        x1, y1, x2, y2 = instance.box
        area = (x2 - x1) * (y2 - y1) if instance.mask is None else instance.mask.area
        sides = [round(side, 2) for side in instance.box]
        yield (
            spreadsheet_text(filename),
            spreadsheet_text(instance.label),
            round(instance.score, 4),
            *sides,
            round(area),
            "model" if instance.origin is None else instance.origin.source,
            str(instance.origin is not None and instance.origin.verified).lower(),
        )


def _lines(rows: Iterable[tuple[object, ...]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def spreadsheet_text(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
