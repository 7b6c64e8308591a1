"""How much memory a process uses, its limit, and returning unused memory to the system (glibc)."""

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

# Memory for pictures of up to three megapixels is kept for the next one: requesting it again takes 10 ms.
_LARGE = 8 << 20
_KEPT = 16 << 20

_STATUS = Path("/proc/self/status")
# Seven numbers, proc(5).
_STATM_BYTES = 200


def give_back_large_blocks() -> None:
    """Have large blocks mapped separately, so that they return to the system as soon as they are freed.

    Otherwise the allocator keeps the memory of the largest picture so far, once per thread. Call this before
    starting threads.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_ARENA_MAX, 1)


def give_back_unused() -> None:
    """Return the allocator's unused memory to the system, for example after loading a model or when idle."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def give_back_code() -> None:
    """Drop the mapped pages of program files; those that are needed are read again.

    Loading an inference engine touches 40 MB of its code and tables, most of which is never used again. Only
    mappings without modified pages are dropped, so nothing is lost.
    """
    if (library := _glibc()) is not None:
        for start, length in _unchanged_mappings():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


# /proc/PID/smaps, proc(5): a line for the mapping, then its properties, one per line.
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[-x][ps] \S+ \S+ [1-9]\d* +/.*")
_MADV_DONTNEED = 4


def _unchanged_mappings() -> Iterator[tuple[int, int]]:
    """Yield start and length of the read-only file mappings without modified pages."""
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
    """Return the resident memory of a process (None: this one) in bytes; 0 if unknown.

    Without /proc, the peak of this process is returned.
    """
    try:
        with Path(f"/proc/{process or 'self'}/statm").open("rb", buffering=0) as file:
            pages = int(file.read(_STATM_BYTES).split()[1])
    except OSError:
        if process is not None:
            return 0
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def writable_bytes() -> int:
    """Return the private writable memory of this process in bytes; 0 if unknown."""
    if sys.platform != "linux":
        return 0
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))


def limit(most: int) -> None:
    """Limit this process's private writable memory, in bytes; allocating more raises MemoryError.

    Linux 4.7 and newer; elsewhere there is no limit. Limiting the address space would be wrong: the engine
    maps far more than it uses.
    """
    if sys.platform == "linux":
        _, highest = resource.getrlimit(resource.RLIMIT_DATA)
        if highest != resource.RLIM_INFINITY:
            most = min(most, highest)
        resource.setrlimit(resource.RLIMIT_DATA, (most, highest))


def would_exceed_limit(size: int) -> bool:
    """Return whether so many bytes more would exceed this process's limit."""
    if sys.platform != "linux":
        return False
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return most != resource.RLIM_INFINITY and writable_bytes() + size > most


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None
