"""How much memory this process has, and how it asks for it where there is glibc."""

import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Options of mallopt(3), glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Room for pictures of up to three megapixels stays for the next one: asking anew costs 10 ms a picture.
_LARGE = 8 << 20
_KEPT = 16 << 20

_STATUS = Path("/proc/self/status")


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


def give_back_code() -> None:
    """Forget the pages of program files that are mapped; those that are needed come back by themselves.

    Loading an inference engine runs through 40 MB of its code and tables, most of which is never used again.
    Only whole mappings that are as they are in the file are forgotten: nothing can be lost.
    """
    if (library := _glibc()) is not None:
        for start, length in _unchanged_mappings():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


# /proc/PID/smaps, proc(5): a line for the mapping, then its facts, one a line.
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[-x][ps] \S+ \S+ [1-9]\d* +/.*")
_MADV_DONTNEED = 4


def _unchanged_mappings() -> Iterator[tuple[int, int]]:
    """Yield start and length of the read-only mappings of files of which no page was changed."""
    found = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := _MAPPING.fullmatch(line):
            found = int(match[1], 16), int(match[2], 16)
        elif not line.split(maxsplit=1)[0].endswith(":"):
            found = None
        elif found is not None and line.startswith("Anonymous:"):
            if line.split()[1] == "0":
                yield found[0], found[1] - found[0]
            found = None


def resident_bytes(process: int | None = None) -> int:
    """Return how much memory a process has now; 0 where that is not told.

    For this process, None, the most that it had is told where there is no /proc.
    """
    try:
        pages = int(Path(f"/proc/{process or 'self'}/statm").read_text().split()[1])
    except OSError:
        if process is not None:
            return 0
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def taken() -> int:
    """Return how many bytes of private writable memory this process has; 0 where that is not told."""
    if sys.platform != "linux":
        return 0
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))


def limit(most: int) -> None:
    """Let this process have that many bytes of private writable memory; more raises MemoryError.

    Linux 4.7 and newer; elsewhere nothing is limited. Address space would be the wrong thing to limit: the
    engine maps far more than it uses.
    """
    if sys.platform == "linux":
        _, highest = resource.getrlimit(resource.RLIMIT_DATA)
        if highest != resource.RLIM_INFINITY:
            most = min(most, highest)
        resource.setrlimit(resource.RLIMIT_DATA, (most, highest))


def may_lack(size: int) -> bool:
    """Tell whether this process may not take so many bytes more, by a limit that was set for it."""
    if sys.platform != "linux":
        return False
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return most != resource.RLIM_INFINITY and taken() + size > most


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None
