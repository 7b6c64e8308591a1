"""How much memory is left to this process, and who may take much of it at a time.

A container's limit ends a process that goes beyond it, without a word. So it is read where the kernel tells
it, and what is left is looked at before much is taken. Sources: Linux, Documentation/admin-guide,
cgroup-v2.rst ("Memory") and cgroup-v1/memory.rst.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SYSTEM: Final = Path("/")

# So much is kept for all else that goes on meanwhile.
_SPARE_BYTES: Final = 24 << 20
# What takes less than this part of what is left may be taken by several at once.
_MUCH: Final = 8
_POLL_SECONDS: Final = 0.05


class NoRoomNow(Exception):
    """Somebody else has taken much memory all the while."""


class NoRoom(Exception):
    """There is less memory than that, though nobody else takes much of it."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


def left(system: Path = SYSTEM) -> int | None:
    """Return how many bytes this container's and machine's processes may take yet; None if unknown."""
    rooms = [found for found in (_available(system), *_of_groups(system)) if found is not None]
    return max(0, min(rooms) - _SPARE_BYTES) if rooms else None


@contextmanager
def taken(size: int, *, patience: float) -> Iterator[None]:
    """Take about so many bytes within the block: alone, where that is much of what is left.

    patience: how many seconds to wait for others, threads and processes of this installation, to be done.

    Raises NoRoomNow or NoRoom.
    """
    there_is = left()
    if there_is is None or size * _MUCH <= there_is:
        yield
        return
    with _alone(patience):
        there_is = left()
        if there_is is not None and size > there_is:
            raise NoRoom(there_is)
        yield


@contextmanager
def _alone(patience: float) -> Iterator[None]:
    import fcntl

    # Any file does that all processes of the installation can open; a lock ends with its process.
    file = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise NoRoomNow from error
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(file)


def _available(system: Path) -> int | None:
    """Return what the machine has left (proc(5), MemAvailable)."""
    with suppress(OSError, ValueError, StopIteration):
        lines = (system / "proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return None


def _of_groups(system: Path) -> Iterator[int]:
    """Yield what is left to each control group that this process is in, and to those that these are in."""
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
            # A container may see its own group as the topmost one, under a path that it does not see.
            for folder in [group, *group.parents]:
                if folder.is_relative_to(system / mount) and (found := _of_group(folder, *files)) is not None:
                    yield found


def _of_group(folder: Path, limit: str, usage: str, idle: str) -> int | None:
    with suppress(OSError, ValueError):
        most = int((folder / limit).read_text())  # "max" is no number
        used = int((folder / usage).read_text())
        facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return most - used + int(facts.get(idle, 0))  # what was read of files is given up when need be
    return None
