"""Small pictures, as files' bytes."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
"""All that can be read, as Pillow calls them."""

RED, GREEN, BLUE, YELLOW = (220, 30, 40), (30, 200, 60), (40, 60, 210), (230, 220, 40)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as a file's bytes; options: Pillow's for the format."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def picture(comment: str = "", size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a small JPEG of one color; its comment tells a faulty worker what to do."""
    return encoded(Image.new("RGB", size, (200, 120, 40)), comment=comment.encode())


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Make a picture whose quarters are red, green (top right), blue (bottom left) and yellow."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = YELLOW
    return Image.fromarray(pixels)


def noise(width: int = 96, height: int = 64) -> Image.Image:
    """Make a picture of random pixels, the same each time."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def written(image: Image.Image, picture_format: str, **options: object) -> bytes:
    """Return a picture as a file's bytes in any of FORMATS."""
    if picture_format == "HEIF":
        import pillow_heif

        file = io.BytesIO()
        heif = pillow_heif.from_pillow(image)
        heif.info.update(options)
        heif.save(file, quality=95)
        return file.getvalue()
    return encoded(image, picture_format, **options)


def assert_corners(
    picture: npt.NDArray[np.uint8], *colours: tuple[int, int, int], tolerance: int = 12
) -> None:
    """Compare the middle of each quarter: top left, top right, bottom left, bottom right."""
    height, width, _ = picture.shape
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    for (y, x), colour in zip(places, colours, strict=True):
        assert np.abs(picture[y, x].astype(int) - colour).max() <= tolerance, (y, x, picture[y, x], colour)


def png_of(chunks: dict[bytes, bytes]) -> bytes:
    """Return a PNG of these chunks, by their names, and of nothing else."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks.items():
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data
