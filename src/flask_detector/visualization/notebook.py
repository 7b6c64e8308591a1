"""How detections show themselves in a notebook: the drawn picture, and a table."""

import io
from base64 import b64encode
from html import escape

from PIL import Image

from flask_detector.structures.detections import Detections, Instance

_LONGEST_SIDE = 960
_MOST_ROWS = 50


def html_of(found: Detections, drawn: Image.Image | None) -> str:
    """Return HTML without any script; where the drawn picture is missing, the table alone."""
    number = len(found)
    summary = f"{number} object{'' if number == 1 else 's'}, {found.model}, {found.width}x{found.height}"
    parts = [f"<figure>{_picture(drawn)}<figcaption>{escape(summary)}</figcaption></figure>"]
    if number:
        heads = ["label", "score", "x1", "y1", "x2", "y2"] + (["area"] if found.masks is not None else [])
        rows = [_row(one) for one, _ in zip(found, range(_MOST_ROWS), strict=False)]
        head = "".join(f"<th>{name}</th>" for name in heads)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    if number > _MOST_ROWS:
        parts.append(f"<p>and {number - _MOST_ROWS} more</p>")
    return "".join(parts)


def _row(one: Instance) -> str:
    cells = [escape(one.label), f"{one.score:.1%}", *(f"{side:.0f}" for side in one.box)]
    if one.mask is not None:
        cells.append(str(one.mask.area))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _picture(drawn: Image.Image | None) -> str:
    if drawn is None:
        return ""
    drawn.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    file = io.BytesIO()
    drawn.save(file, "JPEG", quality=85)
    data = b64encode(file.getvalue()).decode()
    return f'<img alt="the picture with what was found" src="data:image/jpeg;base64,{data}">'
