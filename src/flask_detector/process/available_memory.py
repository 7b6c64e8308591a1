"""How much memory is available, and reserving much of it one at a time.

The kernel kills a process that exceeds its container's limit, without a message. So the limit and the usage
are read before much is allocated. Sources: Linux, Documentation/admin-guide,
cgroup-v2.rst ("Memory") and cgroup-v1/memory.rst.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SYSTEM: Final = Path("/")

# Reserved for everything else that runs meanwhile.
_SPARE_BYTES: Final = 24 << 20
# Reservations of less than this fraction of the available memory need not take turns.
_LARGE_FRACTION: Final = 8
_POLL_SECONDS: Final = 0.05


class MemoryBusy(Exception):
    """Others held large reservations for too long."""


class NotEnoughMemory(Exception):
    """Less memory is available, in bytes, although nobody else has a large reservation."""

    def __init__(self, available: int) -> None:
        super().__init__(available)
        self.available = available


def available(system: Path = SYSTEM) -> int | None:
    """Return how many more bytes processes of this container and machine can use; None if unknown."""
    sizes = [
        found
        for found in (_of_machine(system), _of_process(system), *_of_groups(system))
        if found is not None
    ]
    return max(0, min(sizes) - _SPARE_BYTES) if sizes else None


@contextmanager
def reserved(size: int, *, patience: float) -> Iterator[None]:
    """Reserve about so many bytes within the block; large reservations are made one at a time.

    patience: seconds to wait for other threads and processes of this installation.

    Raises MemoryBusy or NotEnoughMemory.
    """
    # The spare has room for several small ones, and reading what is available takes a millisecond.
    is_small = size * _LARGE_FRACTION <= _SPARE_BYTES
    if is_small or (free := available()) is None or size * _LARGE_FRACTION <= free:
        yield
        return
    with _exclusively(patience):
        free = available()
        if free is not None and size > free:
            raise NotEnoughMemory(free)
        yield


@contextmanager
def _exclusively(patience: float) -> Iterator[None]:
    import fcntl

    # Any file will do that all processes of the installation can open; a lock ends with its process.
    file = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise MemoryBusy from error
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(file)


def _of_machine(system: Path) -> int | None:
    """Return the machine's available memory (proc(5), MemAvailable)."""
    with suppress(OSError, ValueError, StopIteration):
        lines = (system / "proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return None


def _of_process(system: Path) -> int | None:
    """Return the memory that the limit of this process's addresses leaves (ulimit -v)."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, ValueError):
        if limit != resource.RLIM_INFINITY:
            pages = int((system / "proc/self/statm").read_text().split()[0])
            return limit - pages * resource.getpagesize()
    return None


def _of_groups(system: Path) -> Iterator[int]:
    """Yield the available memory of each control group of this process, and of their parents."""
    with suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                mount, files = "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                mount = "sys/fs/cgroup/memory"
                files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            group = system / mount / path.lstrip("/")
            # A container may see its own group as the root, under a path that does not exist there.
            for folder in [group, *group.parents]:
                if folder.is_relative_to(system / mount) and (found := _of_group(folder, *files)) is not None:
                    yield found


def _of_group(folder: Path, limit: str, usage: str, idle: str) -> int | None:
    with suppress(OSError, ValueError):
        most = int((folder / limit).read_text())  # "max" is no number
        used = int((folder / usage).read_text())
        facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return most - used + int(facts.get(idle, 0))  # page cache is reclaimed when needed
    return None
