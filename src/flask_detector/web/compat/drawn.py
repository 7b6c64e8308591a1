"""Pictures with what was found drawn on them, for the dialects that give them back."""

from flask_detector import encoding, rendering
from flask_detector.detections import Detections
from flask_detector.web.service import service


def drawn(picture: bytes, found: Detections, picture_format: str = "JPEG") -> bytes:
    """Return the picture at full size with boxes, labels and masks, as a file of that format."""
    return encoding.change(picture, service().limits, picture_format, rendering.Drawing(found).over)[0]
