"""How this process asks the system for memory."""

import ctypes
import sys

# Options of mallopt(3), glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Arrays of pictures and networks are larger than this, what Python keeps is smaller.
_LARGE = 64 * 1024


def give_back_large_blocks() -> None:
    """Have large blocks mapped one by one, so that they go back to the system as soon as they are freed.

    Otherwise the allocator keeps the room of the largest picture that ever came, once for each thread. To be
    called before there are threads; on systems without glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    set_option(_M_MMAP_THRESHOLD, _LARGE)
    set_option(_M_ARENA_MAX, 1)
