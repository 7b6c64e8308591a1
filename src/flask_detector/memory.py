"""How this process asks the system for memory where it has glibc; elsewhere nothing here does anything."""

import ctypes
import sys
from functools import cache

# Options of mallopt(3), glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Room for pictures of up to three megapixels stays for the next one: asking anew costs 10 ms a picture.
_LARGE = 8 << 20
_KEPT = 64 << 20


def give_back_large_blocks() -> None:
    """Have large blocks mapped one by one, so that they go back to the system as soon as they are freed.

    Otherwise the allocator keeps the room of the largest picture that ever came, once for each thread. To be
    called before there are threads.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_ARENA_MAX, 1)


def give_back_unused() -> None:
    """Return what the allocator holds and nobody uses, as after loading a model or without work."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None
