"""One line an instance, for spreadsheets (RFC 4180)."""

import csv
import io

from flask_detector.detections import Detections

COLUMNS = ("file", "label", "score", "x1", "y1", "x2", "y2", "area")


def write(found: Detections, filename: str) -> bytes:
    """Return a header and a line for each instance, best score first.

    Coordinates are pixels of the picture, xyxy; the area, in pixels, is the mask's, else the box's.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for instance in found:
        x1, y1, x2, y2 = instance.box
        area = (x2 - x1) * (y2 - y1) if instance.mask is None else instance.mask.area
        sides = [round(side, 2) for side in instance.box]
        writer.writerow(
            [_text(filename), _text(instance.label), round(instance.score, 4), *sides, round(area)]
        )
    return file.getvalue().encode()


def _text(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
