"""libvips, set up for us: to be imported where it is used, since it takes ten megabytes."""

import io
import logging
import os
from typing import BinaryIO

# libvips reads this as it is loaded. The web process's requests are its threads.
os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips

# It tells of each strip.
logging.getLogger("pyvips").setLevel(logging.WARNING)
pyvips.cache_set_max(0)  # no file is opened twice

# What programs take for granted where a file tells no resolution; libvips would write 25.4 dots per inch.
_DOTS_PER_MILLIMETRE = 72 / 25.4

Error = pyvips.Error
Image = pyvips.Image


def opened(loader: str, data: bytes, *, fail_on: str = "none", access: str = "sequential") -> pyvips.Image:
    """Return a picture that is decoded as it is read.

    loader: "jpegload", "pngload", "tiffload", "webpload" or "heifload".
    access: "sequential" for one that is read once, from the top; "random" for any other way.
    fail_on: "error" raises Error where something in the file is wrong, "warning" also where it is odd.
    """
    load = getattr(pyvips.Image, f"{loader}_buffer")
    found: pyvips.Image = load(data, access=access, fail_on=fail_on)
    return found


def write_numbers(image: pyvips.Image, file: BinaryIO) -> None:
    """Write a picture's numbers, row by row, to where an unbuffered file stands."""
    image.rawsave_target(pyvips.Target.new_to_descriptor(file.fileno()), keep="none")


def convert(tiff: BinaryIO, saver: str, icc_profile: bytes | None, **options: object) -> bytes:
    """Return a TIFF file, read from its start, as another one without metadata but the colour profile.

    saver: "pngsave", "tiffsave" or "webpsave".

    Raises Error where the format can't hold the picture.
    """
    tiff.seek(0)
    source = pyvips.Source.new_from_descriptor(tiff.fileno())
    image = pyvips.Image.tiffload_source(source, access="sequential")
    image = image.copy(xres=_DOTS_PER_MILLIMETRE, yres=_DOTS_PER_MILLIMETRE)
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
