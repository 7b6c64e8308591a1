"""libvips, set up for us: to be imported where it is used, since it takes ten megabytes."""

import io
import logging
import os
from collections.abc import Iterable
from tempfile import TemporaryFile

from flask_detector.imaging.pixels import Picture

# libvips reads these as it is loaded. The web process's requests are its threads.
os.environ.setdefault("VIPS_CONCURRENCY", "1")
# What it decodes for random access, and is larger, it keeps in a temporary file without a name.
os.environ.setdefault("VIPS_DISC_THRESHOLD", "8m")

import pyvips

# It tells of each strip.
logging.getLogger("pyvips").setLevel(logging.WARNING)
pyvips.cache_set_max(0)  # no file is opened twice

# What programs take for granted where a file tells no resolution; libvips would write 25.4 dots per inch.
_DOTS_PER_MILLIMETRE = 72 / 25.4

_PARTS = 16

Error = pyvips.Error


def opened(loader: str, data: bytes, *, fail_on: str, access: str) -> pyvips.Image:
    """Return a picture whose pixels are decoded when they are asked for.

    loader: "jpegload", "pngload", "tiffload", "webpload" or "heifload".
    access: "sequential" for one that is read once, from the top; "random" for any other way.
    fail_on: "error" raises Error where something in the file is wrong, "none" wherever it can't be helped.
    """
    found: pyvips.Image = getattr(pyvips.Image, f"{loader}_buffer")(data, access=access, fail_on=fail_on)
    return found


def in_parts(image: pyvips.Image) -> pyvips.Image:
    """Return the same picture, read in parts: a reader keeps mapped what it has read of a file so far."""
    width, height = image.width, image.height
    rows = -(-height // _PARTS)
    parts = [image.crop(0, top, width, min(rows, height - top)) for top in range(0, height, rows)]
    return pyvips.Image.arrayjoin(parts, across=1).crop(0, 0, width, height)


def encode(
    strips: Iterable[Picture],
    shape: tuple[int, int, int],
    saver: str,
    icc_profile: bytes | None,
    **options: object,
) -> bytes:
    """Return the rows (N, width, bands) of a picture as a file without metadata but the colour profile.

    They are kept in a temporary file meanwhile, since libvips reads rows from nowhere else.

    shape: width, height, and 3 bands or, with transparency, 4.
    saver: "jpegsave", "pngsave", "tiffsave" or "webpsave".

    Raises Error where the format can't hold the picture, OSError where there is no room for the file.
    """
    with TemporaryFile() as numbers:
        for strip in strips:
            numbers.write(strip.data)
        numbers.flush()
        image = in_parts(pyvips.Image.rawload(f"/dev/fd/{numbers.fileno()}", *shape))
        image = image.copy(interpretation="srgb", xres=_DOTS_PER_MILLIMETRE, yres=_DOTS_PER_MILLIMETRE)
        if icc_profile is not None:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc_profile)
        # libvips' own buffer would be twice as large as the file at last.
        written = io.BytesIO()
        target = pyvips.TargetCustom()
        target.on_write(written.write)
        target.on_read(written.read)
        target.on_seek(written.seek)
        getattr(image, f"{saver}_target")(target, keep="icc", **options)
        return written.getvalue()
