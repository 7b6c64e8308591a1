"""The picture in which models are tried."""

from importlib import resources

from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture


def example_picture() -> Picture:
    """Return the small picture that comes with this package, (H, W, 3), RGB, uint8."""
    file = resources.files("flask_detector") / "web" / "static" / "example-small.jpg"
    return decode.decode(file.read_bytes(), Limits(1 << 20, 1 << 20))[0]
