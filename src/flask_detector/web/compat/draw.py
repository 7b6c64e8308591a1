"""Pictures with what was found drawn on them, for the dialects that give them back."""

from flask_detector.imaging import encode
from flask_detector.structures.detections import Detections
from flask_detector.visualization import annotate
from flask_detector.web.core.renditions import turn
from flask_detector.web.core.service import service


def drawn(picture: bytes, found: Detections, picture_format: str = "JPEG") -> bytes:
    """Return the picture at full size with boxes, labels and masks, as a file of that format."""
    with turn(service(), picture):
        return encode.change(picture, service().limits, picture_format, annotate.Drawing(found).over)[0]
