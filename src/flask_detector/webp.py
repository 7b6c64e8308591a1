"""WebP decoded into a file, so that of its pixels those alone take memory that are being decoded.

Pillow decodes a WebP as the first frame of an animation and holds four copies of it, 360 MB for 24
megapixels. The library that it comes with can also decode what has come so far of a picture, into memory of
its caller's: here a mapping of the file, whose finished rows are forgotten. Source: libwebp, webp/decode.h.
"""

import ctypes
import mmap
from functools import cache
from typing import BinaryIO, Final

_MODES: Final = {3: 0, 4: 1}  # WEBP_CSP_MODE: RGB, RGBA
_OK: Final = 0  # VP8StatusCode
_SUSPENDED: Final = 5
_STEPS: Final = 64
_SHORTEST_STEP: Final = 4096


def decode(data: bytes, file: BinaryIO, start: int, width: int, height: int, bands: int) -> bool:
    """Write the pixels of a still WebP to a place in a file that has room for them; tell whether that went.

    bands: 3 for RGB, 4 for RGBA.
    """
    library = _library()
    if library is None or not hasattr(mmap, "MADV_DONTNEED"):
        return False
    size = bands * width * height
    with mmap.mmap(file.fileno(), start + size) as mapping:
        pixels = (ctypes.c_ubyte * size).from_buffer(mapping, start)
        decoder = library.WebPINewRGB(_MODES[bands], pixels, size, bands * width)
        if not decoder:
            return False
        try:
            return _decoded(library, decoder, data, mapping, start, bands * width)
        finally:
            library.WebPIDelete(decoder)
            del pixels  # a mapping that is used can't be closed


def _decoded(
    library: ctypes.CDLL, decoder: int, data: bytes, mapping: mmap.mmap, start: int, stride: int
) -> bool:
    rows = ctypes.c_int()
    forgotten = 0
    step = max(_SHORTEST_STEP, len(data) // _STEPS)
    status = _SUSPENDED
    for end in range(step, len(data) + step, step):
        status = library.WebPIUpdate(decoder, data, min(end, len(data)))
        if status != _SUSPENDED:
            break
        library.WebPIDecGetRGB(decoder, ctypes.byref(rows), None, None, None)
        done = (start + rows.value * stride) // mmap.PAGESIZE * mmap.PAGESIZE
        if done > forgotten:
            # What was written stays in the file.
            mapping.madvise(mmap.MADV_DONTNEED, forgotten, done - forgotten)
            forgotten = done
    return bool(status == _OK)


@cache
def _library() -> ctypes.CDLL | None:
    """Return the libwebp that Pillow uses, or None where it can't be found that way."""
    try:
        from PIL import _webp

        library = ctypes.CDLL(_webp.__file__)
        library.WebPINewRGB.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        library.WebPINewRGB.restype = ctypes.c_void_p
        library.WebPIUpdate.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        library.WebPIDecGetRGB.argtypes = [ctypes.c_void_p, *[ctypes.c_void_p] * 4]
        library.WebPIDelete.argtypes = [ctypes.c_void_p]
        library.WebPIDelete.restype = None
    except (AttributeError, ImportError, OSError):
        return None
    return library
