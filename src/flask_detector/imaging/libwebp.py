"""WebP read into a file and written from it, with few of its pixels in memory at a time.

Pillow decodes a WebP as the first frame of an animation and holds four copies of it, 360 MB for 24
megapixels. The library that it comes with can also decode what has come so far of a picture, into memory of
its caller's: here a mapping of the file, whose finished rows are forgotten. An encoder needs the whole
picture, but in the one and a half bytes a pixel that it works on, and not in seven or more. Sources: libwebp,
webp/decode.h and webp/encode.h; the container, RFC 9649.
"""

import ctypes
import io
import mmap
import struct
from collections.abc import Iterable
from functools import cache
from typing import BinaryIO, Final

from flask_detector.imaging.pixels import Picture

_MODES: Final = {3: 0, 4: 1}  # WEBP_CSP_MODE: RGB, RGBA
_OK: Final = 0  # VP8StatusCode
_SUSPENDED: Final = 5
_ENCODER_VERSION: Final = 0x0200  # WEBP_ENCODER_ABI_VERSION: only the upper byte must agree
_DEFAULT_PRESET: Final = 0
_LONGEST_SIDE: Final = 16_383
_HAS_PROFILE: Final = 0x20
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


class _Picture(ctypes.Structure):
    """The first fields of WebPPicture, and more room than the others take."""

    _fields_ = (
        ("use_argb", ctypes.c_int),
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("y", ctypes.c_void_p),
        ("u", ctypes.c_void_p),
        ("v", ctypes.c_void_p),
        ("y_stride", ctypes.c_int),
        ("uv_stride", ctypes.c_int),
        ("a", ctypes.c_void_p),
        ("a_stride", ctypes.c_int),
        ("pad1", ctypes.c_uint32 * 2),
        ("argb", ctypes.c_void_p),
        ("argb_stride", ctypes.c_int),
        ("pad2", ctypes.c_uint32 * 3),
        ("writer", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 64),
    )


class _Config(ctypes.Structure):
    """The first fields of WebPConfig, and more room than the others take."""

    _fields_ = (
        ("lossless", ctypes.c_int),
        ("quality", ctypes.c_float),
        ("method", ctypes.c_int),
        ("others", ctypes.c_int * 64),
    )


_Writer = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


def encode(
    strips: Iterable[Picture],
    width: int,
    height: int,
    *,
    quality: int,
    method: int,
    icc_profile: bytes | None,
) -> bytes | None:
    """Return a picture as a WebP file with loss, or None where the library can't be used or has no memory.

    strips: (N, width, 3), RGB, from the top; N is even but for the last one.

    Raises ValueError where the picture is too large for the format.
    """
    if max(width, height) > _LONGEST_SIDE:
        raise ValueError(f"a WebP has at most {_LONGEST_SIDE} pixels a side")
    library = _library()
    config, whole = _Config(), _Picture()
    if library is None or not (
        library.WebPConfigInitInternal(
            ctypes.byref(config), _DEFAULT_PRESET, ctypes.c_float(quality), _ENCODER_VERSION
        )
        and library.WebPPictureInitInternal(ctypes.byref(whole), _ENCODER_VERSION)
    ):
        return None
    config.method = method
    whole.width, whole.height = width, height
    written = io.BytesIO()

    def write(data: int, size: int, _: object) -> int:
        return int(written.write(ctypes.string_at(data, size)) == size)

    writer = _Writer(write)
    whole.writer = ctypes.cast(writer, ctypes.c_void_p)
    try:
        is_done = (
            library.WebPPictureAlloc(ctypes.byref(whole))
            and _import(library, whole, strips)
            and library.WebPEncode(ctypes.byref(config), ctypes.byref(whole))
        )
    finally:
        library.WebPPictureFree(ctypes.byref(whole))
    if not is_done:
        return None
    return written.getvalue() if icc_profile is None else _with_profile(written, width, height, icc_profile)


def _import(library: ctypes.CDLL, whole: _Picture, strips: Iterable[Picture]) -> bool:
    """Bring RGB strips into the planes of a picture: pairs of rows depend on nothing but themselves."""
    top = 0
    for strip in strips:
        part = _Picture()
        library.WebPPictureInitInternal(ctypes.byref(part), _ENCODER_VERSION)
        part.width, part.height = whole.width, len(strip)
        try:
            if not library.WebPPictureImportRGB(ctypes.byref(part), strip.ctypes.data, strip.strides[0]):
                return False
            half = (len(strip) + 1) // 2
            ctypes.memmove(whole.y + top * whole.y_stride, part.y, len(strip) * part.y_stride)
            for plane in ("u", "v"):
                place = getattr(whole, plane) + top // 2 * whole.uv_stride
                ctypes.memmove(place, getattr(part, plane), half * part.uv_stride)
        finally:
            library.WebPPictureFree(ctypes.byref(part))
        top += len(strip)
    return True


def _with_profile(written: io.BytesIO, width: int, height: int, icc_profile: bytes) -> bytes:
    """Return a simple file as an extended one, with a colour profile."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = struct.pack("<4sII", b"VP8X", 10, _HAS_PROFILE) + sides
    profile = struct.pack("<4sI", b"ICCP", len(icc_profile)) + icc_profile + bytes(len(icc_profile) % 2)
    picture = written.getbuffer()[12:]
    size = 4 + len(extended) + len(profile) + len(picture)
    return b"".join([struct.pack("<4sI4s", b"RIFF", size, b"WEBP"), extended, profile, picture])


@cache
def _library() -> ctypes.CDLL | None:
    """Return the libwebp that Pillow uses, or None where it can't be found that way."""
    number, pointer = ctypes.c_int, ctypes.c_void_p
    try:
        from PIL import _webp

        library = ctypes.CDLL(_webp.__file__)
        library.WebPINewRGB.argtypes = [number, pointer, ctypes.c_size_t, number]
        library.WebPINewRGB.restype = pointer
        library.WebPIUpdate.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t]
        library.WebPIDecGetRGB.argtypes = [pointer] * 5
        library.WebPIDelete.argtypes = [pointer]
        library.WebPIDelete.restype = None
        library.WebPConfigInitInternal.argtypes = [pointer, number, ctypes.c_float, number]
        library.WebPPictureInitInternal.argtypes = [pointer, number]
        library.WebPPictureAlloc.argtypes = [pointer]
        library.WebPPictureImportRGB.argtypes = [pointer, pointer, number]
        library.WebPEncode.argtypes = [pointer, pointer]
        library.WebPPictureFree.argtypes = [pointer]
        library.WebPPictureFree.restype = None
    except (AttributeError, ImportError, OSError):
        return None
    return library
