"""Small pictures, as files' bytes."""

import io
from typing import Any

from PIL import Image


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as a file's bytes; options: Pillow's for the format."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def picture(comment: str = "", size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a small JPEG of one color; its comment tells a faulty worker what to do."""
    return encoded(Image.new("RGB", size, (200, 120, 40)), comment=comment.encode())
